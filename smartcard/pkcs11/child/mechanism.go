//go:build (linux || darwin) && (amd64 || arm64)

package child

import (
	"crypto/fips140"
	"crypto/sha1" //nolint:gosec // prescriptions were signed with RS1; SIG-1.8 requires it for payloads
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/cryptoki"
)

// way is one way for a card to make a signature: a mechanism and what it is given of a text.
type way struct {
	mechanism cryptoki.Mechanism
	prepare   func(text []byte) ([]byte, error)
}

// ways lists the ways for each algorithm, hashing on the card first: some cards sign only what they hashed.
var ways = map[string][]way{
	smartcard.RS1:   {{cryptoki.SHA1RSAPKCS, whole}, {cryptoki.RSAPKCS, digestInfoSHA1}},
	smartcard.RS256: {{cryptoki.SHA256RSAPKCS, whole}, {cryptoki.RSAPKCS, digestInfoSHA256}},
	smartcard.PS256: {{cryptoki.SHA256RSAPKCSPSS, whole}, {cryptoki.RSAPKCSPSS, digestSHA256}},
}

// algorithms returns the algorithms the mechanisms suffice for, in the protocol's order.
func algorithms(mechanisms []cryptoki.Mechanism) []string {
	able := []string{}
	for _, algorithm := range []string{smartcard.RS1, smartcard.RS256, smartcard.PS256} {
		if len(waysTo(algorithm, mechanisms, nil)) > 0 {
			able = append(able, algorithm)
		}
	}
	return able
}

// waysTo returns the ways for an algorithm that the card has mechanisms for and that the key allows, if it restricts
// them.
func waysTo(algorithm string, card, key []cryptoki.Mechanism) []way {
	var able []way
	for _, w := range ways[algorithm] {
		if slices.Contains(card, w.mechanism) && (len(key) == 0 || slices.Contains(key, w.mechanism)) {
			able = append(able, w)
		}
	}
	return able
}

// another reports whether after an error the next way may still work.
func another(err error) bool {
	var refused *cryptoki.Error
	return errors.As(err, &refused) && slices.Contains([]cryptoki.Return{
		cryptoki.MechanismInvalid, cryptoki.MechanismParamInvalid, cryptoki.FunctionNotSupported,
		cryptoki.KeyFunctionNotPermitted, cryptoki.KeyTypeInconsistent, cryptoki.DataLenRange,
	}, refused.Return)
}

// The DER of a DigestInfo up to the digest (RFC 8017 §9.2, note 1).
var (
	prefixSHA1   = []byte{0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14}
	prefixSHA256 = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
)

func whole(text []byte) ([]byte, error) { return text, nil }

func digestInfoSHA1(text []byte) ([]byte, error) {
	if fips140.Enforced() {
		return nil, unfit("RS1 needs SHA-1, which FIPS-only mode forbids, and the card does not hash itself")
	}
	sum := sha1.Sum(text) //nolint:gosec // as above
	return slices.Concat(prefixSHA1, sum[:]), nil
}

func digestInfoSHA256(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return slices.Concat(prefixSHA256, sum[:]), nil
}

func digestSHA256(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return sum[:], nil
}
