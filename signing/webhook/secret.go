package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// The form of a secret by the Standard Webhooks specification, and its length in bytes.
const (
	secretPrefix   = "whsec_"
	shortestSecret = 24
	longestSecret  = 64
)

// Secret is shared with one receiver, for libraries that verify HMACs (v1) and no Ed25519 signatures (v1a). It never
// prints itself.
type Secret struct{ key []byte }

// ParseSecret parses a secret: whsec_ and base64 of 24 to 64 bytes. No error contains any of it.
func ParseSecret(text string) (Secret, error) {
	encoded, prefixed := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	if !prefixed {
		return Secret{}, errors.New("the secret does not begin with " + secretPrefix + ": make one with printf whsec_; openssl rand -base64 32")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return Secret{}, errors.New("the secret is not " + secretPrefix + " and base64")
	}
	if len(key) < shortestSecret || len(key) > longestSecret {
		return Secret{}, fmt.Errorf("the secret has %d bytes, want %d to %d", len(key), shortestSecret, longestSecret)
	}
	return Secret{key}, nil
}

// sign returns the HMAC-SHA256 of a webhook's content.
func (s Secret) sign(content []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(content)
	return mac.Sum(nil)
}

// Forging returns a secret under which no signature holds at the receiver.
func (s Secret) Forging() Secret {
	sum := sha256.Sum256(append([]byte("forged "), s.key...))
	return Secret{sum[:]}
}

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[secret]" }
