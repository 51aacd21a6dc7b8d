//go:build (linux || darwin) && (amd64 || arm64)

package cryptoki

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Mechanism is a CKM_ type.
type Mechanism uint64

// The mechanisms of the protocol's signatures.
const (
	RSAPKCS          Mechanism = 0x1  // over a DigestInfo made by the caller
	SHA1RSAPKCS      Mechanism = 0x6  // over the text
	RSAPKCSPSS       Mechanism = 0xD  // over a digest made by the caller
	SHA256RSAPKCS    Mechanism = 0x40 // over the text
	SHA256RSAPKCSPSS Mechanism = 0x43 // over the text
)

var mechanismNames = map[Mechanism]string{
	RSAPKCS: "CKM_RSA_PKCS", SHA1RSAPKCS: "CKM_SHA1_RSA_PKCS", RSAPKCSPSS: "CKM_RSA_PKCS_PSS",
	SHA256RSAPKCS: "CKM_SHA256_RSA_PKCS", SHA256RSAPKCSPSS: "CKM_SHA256_RSA_PKCS_PSS",
}

// String returns the standard's name, or the number of a mechanism that has no name here.
func (m Mechanism) String() string {
	if name, known := mechanismNames[m]; known {
		return name
	}
	return fmt.Sprintf("CKM 0x%X", uint64(m))
}

// Parameters of RSAPSS: SHA-256 for text and mask, and a salt as long as the digest.
const (
	hashSHA256 = 0x250
	maskSHA256 = 2
	saltSHA256 = 32
)

const maxSignature = 2048 // bytes: RSA of 16384 bits

// SignInit begins a signature with a key.
func (s *Session) SignInit(with Mechanism, key Object) error {
	raw := &rawMechanism{mechanism: ulong(with)}
	var pinned runtime.Pinner
	defer pinned.Unpin()
	if with == RSAPKCSPSS || with == SHA256RSAPKCSPSS {
		params := &rawPSS{hash: hashSHA256, mgf: maskSHA256, salt: saltSHA256}
		pinned.Pin(params)
		raw.parameter, raw.length = unsafe.Pointer(params), ulong(unsafe.Sizeof(*params))
	}
	return s.m.call(fSignInit, uintptr(s.handle), uintptr(unsafe.Pointer(raw)), uintptr(key))
}

// Sign completes the signature SignInit began.
func (s *Session) Sign(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, errors.New("nothing to sign")
	}
	signature, length := make([]byte, maxSignature), ulong(maxSignature)
	err := s.m.call(fSign, uintptr(s.handle), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)),
		uintptr(unsafe.Pointer(&signature[0])), uintptr(unsafe.Pointer(&length)))
	runtime.KeepAlive(data)
	if err != nil {
		return nil, err
	}
	if length == 0 || length > maxSignature {
		return nil, errors.New("the module returned a signature of an impossible length")
	}
	return signature[:length], nil
}
