//go:build (linux || darwin) && (amd64 || arm64)

package cryptoki

import (
	"encoding/binary"
	"errors"
	"runtime"
	"unsafe"
)

// Session is an open session with a card.
type Session struct {
	m      *Module
	handle ulong
}

// Object is a handle of an object on the card, valid for its session.
type Object uint64

// Attribute is a CKA_ type.
type Attribute uint64

// The attributes that signing reads.
const (
	Class              Attribute = 0x0
	Value              Attribute = 0x11
	CertificateType    Attribute = 0x80
	KeyType            Attribute = 0x100
	ID                 Attribute = 0x102
	Sign               Attribute = 0x108
	Modulus            Attribute = 0x120
	AlwaysAuthenticate Attribute = 0x202
	AllowedMechanisms  Attribute = 0x40000600
)

// Values of Class, and of KeyType and CertificateType.
const (
	ClassCertificate uint64 = 1
	ClassPrivateKey  uint64 = 3
	KeyRSA           uint64 = 0
	CertificateX509  uint64 = 0
)

// Match is one condition of Find.
type Match struct {
	Attribute Attribute
	Value     []byte
}

// Number matches an attribute that is a CK_ULONG.
func Number(a Attribute, n uint64) Match {
	return Match{Attribute: a, Value: binary.NativeEndian.AppendUint64(nil, n)}
}

// User is the user Login logs in as.
type User uint64

// The two users of a signing card.
const (
	CardHolder      User = 1
	ContextSpecific User = 2 // for the signature SignInit began
)

// Bounds on allocations a module can cause.
const (
	maxAttribute = 64 << 10
	maxObjects   = 512
)

// Login authenticates the card holder by PIN. A nil PIN asks at the reader's PIN pad. The caller wipes pin.
func (s *Session) Login(as User, pin []byte) error {
	var at unsafe.Pointer
	if len(pin) > 0 {
		at = unsafe.Pointer(&pin[0])
	}
	err := s.m.call(fLogin, uintptr(s.handle), uintptr(as), uintptr(at), uintptr(len(pin)))
	runtime.KeepAlive(pin)
	return err
}

// Logout ends the login.
func (s *Session) Logout() error { return s.m.call(fLogout, uintptr(s.handle)) }

// Close ends the session.
func (s *Session) Close() error { return s.m.call(fCloseSession, uintptr(s.handle)) }

// Find returns the objects that match every condition.
func (s *Session) Find(conditions ...Match) ([]Object, error) {
	var pinned runtime.Pinner
	defer pinned.Unpin()
	template := make([]rawAttribute, len(conditions)+1) // one more, so that the slice always has an address
	for i, c := range conditions {
		template[i].kind, template[i].length = ulong(c.Attribute), ulong(len(c.Value))
		if len(c.Value) > 0 {
			pinned.Pin(&c.Value[0])
			template[i].value = unsafe.Pointer(&c.Value[0])
		}
	}
	err := s.m.call(fFindObjectsInit, uintptr(s.handle), uintptr(unsafe.Pointer(&template[0])), uintptr(len(conditions)))
	runtime.KeepAlive(template)
	if err != nil {
		return nil, err
	}
	var found []Object
	batch, count := make([]ulong, 32), new(ulong)
	for len(found) < maxObjects {
		err = s.m.call(fFindObjects, uintptr(s.handle), uintptr(unsafe.Pointer(&batch[0])), uintptr(len(batch)), uintptr(unsafe.Pointer(count)))
		if err != nil || *count == 0 {
			break
		}
		for _, handle := range batch[:min(*count, ulong(len(batch)))] {
			found = append(found, Object(handle))
		}
	}
	return found, errors.Join(err, s.m.call(fFindObjectsFinal, uintptr(s.handle)))
}

// Attribute reads one attribute. The value is nil if the object has none or does not disclose it.
func (s *Session) Attribute(of Object, kind Attribute) ([]byte, error) {
	raw := &rawAttribute{kind: ulong(kind)}
	read := func() error {
		err := s.m.call(fGetAttributeValue, uintptr(s.handle), uintptr(of), uintptr(unsafe.Pointer(raw)), 1)
		if errors.Is(err, &Error{Return: AttributeSensitive}) || errors.Is(err, &Error{Return: AttributeTypeInvalid}) {
			raw.length = unavailable
			return nil
		}
		return err
	}
	if err := read(); err != nil {
		return nil, err
	}
	switch {
	case raw.length == unavailable || raw.length == 0:
		return nil, nil
	case raw.length > maxAttribute:
		return nil, errors.New("the module returned an attribute larger than 64 KiB")
	}
	value := make([]byte, raw.length)
	var pinned runtime.Pinner
	defer pinned.Unpin()
	pinned.Pin(&value[0])
	raw.value = unsafe.Pointer(&value[0])
	if err := read(); err != nil || raw.length == unavailable {
		return nil, err
	}
	return value[:min(raw.length, ulong(len(value)))], nil
}

// Flag reads an attribute that is a CK_BBOOL; an object without it counts as otherwise.
func (s *Session) Flag(of Object, kind Attribute, otherwise bool) (bool, error) {
	value, err := s.Attribute(of, kind)
	if err != nil || len(value) != 1 {
		return otherwise, err
	}
	return value[0] != 0, nil
}

// Allowed returns the mechanisms the key may be used with; nil: unrestricted.
func (s *Session) Allowed(key Object) ([]Mechanism, error) {
	value, err := s.Attribute(key, AllowedMechanisms)
	if err != nil || len(value)%8 != 0 {
		return nil, err
	}
	var allowed []Mechanism
	for i := 0; i < len(value); i += 8 {
		allowed = append(allowed, Mechanism(binary.NativeEndian.Uint64(value[i:])))
	}
	return allowed, nil
}
