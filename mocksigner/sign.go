package mocksigner

import (
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha1" // only for RS1, which many prescriptions still use
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

// sign signs the payload's own bytes.
func sign(algorithm string, key *rsa.PrivateKey, payload []byte, random io.Reader) ([]byte, error) {
	switch algorithm {
	case smartcard.RS1:
		if fips140.Enforced() {
			return nil, errors.New("RS1 needs SHA-1, which FIPS-only mode forbids")
		}
		sum := sha1.Sum(payload)
		return rsa.SignPKCS1v15(nil, key, crypto.SHA1, sum[:])
	case smartcard.RS256:
		sum := sha256.Sum256(payload)
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case smartcard.PS256:
		sum := sha256.Sum256(payload)
		return rsa.SignPSS(random, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return nil, fmt.Errorf("unknown algorithm %q", algorithm)
}
