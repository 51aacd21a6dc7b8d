//go:build (linux || darwin) && (amd64 || arm64)

package cryptoki

import (
	"errors"
	"runtime"
	"unsafe"
)

// Slot is a reader, or what a module presents as one.
type Slot struct {
	ID          uint64
	Description string
	Present     bool // a token is in it
}

// Token is a card.
type Token struct {
	Label        string
	Manufacturer string
	Model        string
	Serial       string
	Flags        TokenFlags
}

// TokenFlags are CK_TOKEN_INFO's flags.
type TokenFlags uint64

// Flags that decide whether and how to log in.
const (
	LoginRequired   TokenFlags = 0x4
	PINInitialized  TokenFlags = 0x8
	ProtectedPath   TokenFlags = 0x100 // the reader has its own PIN pad
	Initialised     TokenFlags = 0x400
	PINCountLow     TokenFlags = 0x10000
	PINFinalTry     TokenFlags = 0x20000
	PINIsLocked     TokenFlags = 0x40000
	PINToBeChanged  TokenFlags = 0x80000
	maxSlots                   = 256
	maxMechanisms              = 4096
	tokenIsPresent             = 1
	mechanismSigns             = 0x800
	sessionIsSerial            = 0x4
)

// Slots returns the readers, including empty ones. The module looks for new readers.
func (m *Module) Slots() ([]Slot, error) {
	ids, err := m.numbers(maxSlots, func(list unsafe.Pointer, count *ulong) error {
		return m.call(fGetSlotList, 0, uintptr(list), uintptr(unsafe.Pointer(count)))
	})
	if err != nil {
		return nil, err
	}
	slots := make([]Slot, 0, len(ids))
	for _, id := range ids {
		raw := &rawSlot{}
		err := m.call(fGetSlotInfo, uintptr(id), uintptr(unsafe.Pointer(raw)))
		if errors.Is(err, &Error{Return: SlotIDInvalid}) { // unplugged meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		slots = append(slots, Slot{ID: id, Description: text(raw.description[:]), Present: raw.flags&tokenIsPresent != 0})
	}
	return slots, nil
}

// Token describes the card in a slot.
func (m *Module) Token(slot uint64) (Token, error) {
	raw := &rawToken{}
	if err := m.call(fGetTokenInfo, uintptr(slot), uintptr(unsafe.Pointer(raw))); err != nil {
		return Token{}, err
	}
	return Token{
		Label: text(raw.label[:]), Manufacturer: text(raw.manufacturer[:]), Model: text(raw.model[:]),
		Serial: text(raw.serial[:]), Flags: TokenFlags(raw.flags),
	}, nil
}

// Mechanisms returns the signing mechanisms of the card, or of the module for it.
func (m *Module) Mechanisms(slot uint64) ([]Mechanism, error) {
	all, err := m.numbers(maxMechanisms, func(list unsafe.Pointer, count *ulong) error {
		return m.call(fGetMechanismList, uintptr(slot), uintptr(list), uintptr(unsafe.Pointer(count)))
	})
	if err != nil {
		return nil, err
	}
	var signing []Mechanism
	for _, mechanism := range all {
		raw := &rawMechanismInfo{}
		if m.call(fGetMechanismInfo, uintptr(slot), uintptr(mechanism), uintptr(unsafe.Pointer(raw))) == nil && raw.flags&mechanismSigns != 0 {
			signing = append(signing, Mechanism(mechanism))
		}
	}
	return signing, nil
}

// OpenSession opens a session for reading and signing with the card in a slot.
func (m *Module) OpenSession(slot uint64) (*Session, error) {
	s := &Session{m: m}
	err := m.call(fOpenSession, uintptr(slot), sessionIsSerial, 0, 0, uintptr(unsafe.Pointer(&s.handle)))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// numbers calls a function that first returns the length of its list and then the list. The list may grow between the
// calls, for example when a card is inserted.
func (m *Module) numbers(most ulong, get func(list unsafe.Pointer, count *ulong) error) ([]ulong, error) {
	count := new(ulong)
	for {
		if err := get(nil, count); err != nil {
			return nil, err
		}
		if *count == 0 {
			return nil, nil
		}
		if *count > most {
			return nil, errors.New("the module's list grows without end")
		}
		list := make([]ulong, *count)
		err := get(unsafe.Pointer(&list[0]), count)
		runtime.KeepAlive(list)
		if errors.Is(err, &Error{Return: BufferTooSmall}) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return list[:min(*count, ulong(len(list)))], nil
	}
}
