package jwks

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// method is RSASSA-PKCS1-v1_5 with one hash. For golang-jwt it is a signing method that signs with golang-jwt's own
// code; verify is the only way to the verification below.
type method struct {
	name   string
	hash   crypto.Hash
	prefix []byte // DER of DigestInfo up to the digest (RFC 8017 §9.2, note 1)
	sum    func([]byte) []byte
	signer jwt.SigningMethod
}

var _ jwt.SigningMethod = (*method)(nil)

var (
	rs256 = &method{
		name: "RS256", hash: crypto.SHA256, signer: jwt.SigningMethodRS256,
		prefix: []byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"),
		sum:    func(b []byte) []byte { d := sha256.Sum256(b); return d[:] },
	}
	rs512 = &method{
		name: "RS512", hash: crypto.SHA512, signer: jwt.SigningMethodRS512,
		prefix: []byte("\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"),
		sum:    func(b []byte) []byte { d := sha512.Sum512(b); return d[:] },
	}
)

// Alg returns the algorithm's name in a JOSE header.
func (m *method) Alg() string { return m.name }

// Sign signs with an *rsa.PrivateKey.
func (m *method) Sign(input string, key any) ([]byte, error) { return m.signer.Sign(input, key) }

// Verify verifies a signature with a *Key.
func (m *method) Verify(input string, signature []byte, key any) error {
	k, ok := key.(*Key)
	if !ok {
		return jwt.ErrInvalidKeyType
	}
	return m.verify([]byte(input), signature, k)
}

func (m *method) verify(input, signature []byte, key *Key) error {
	digest := m.sum(input)
	var ok bool
	if key.cryptoRSA || fips140.Enabled() {
		ok = rsa.VerifyPKCS1v15(key.public, m.hash, digest, signature) == nil
	} else {
		ok = verifyPKCS1v15(key.modulus, key.public.E, m.prefix, digest, signature)
	}
	if !ok {
		return &Error{Code: CodeSignature, Text: "the token's signature does not hold under its key"}
	}
	return nil
}

// verifyPKCS1v15 is RSASSA-PKCS1-V1_5-VERIFY (RFC 8017 §8.2.2). It encodes the expected message and compares
// all of it, so there is no padding to parse and get wrong. It is not constant-time and need not be: all its
// inputs are public. Above 2048 bits it is three times as fast as crypto/rsa, with which it agrees
// (FuzzVerifyAgainstCryptoRSA).
func verifyPKCS1v15(m *montgomery, exponent int, prefix, digest, signature []byte) bool {
	size := (m.n.BitLen() + 7) / 8
	padding := size - 3 - len(prefix) - len(digest)
	if len(signature) != size || padding < 8 {
		return false
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(m.n) >= 0 {
		return false
	}
	got := make([]byte, size)
	m.power(got, s, exponent)

	want := make([]byte, 0, size)
	want = append(want, 0, 1)
	for range padding {
		want = append(want, 0xff)
	}
	want = append(want, 0)
	want = append(want, prefix...)
	want = append(want, digest...)
	return bytes.Equal(got, want)
}
