package prescription

import (
	"bytes"
	"errors"

	"github.com/seed-dd2befc3/countersign/client"
)

// ErrDigest means that a payload does not contain the digest of the fragments.
var ErrDigest = errors.New("payload is not a signature over these fragments")

// Display returns what a person sees before signing a payload: the content of the fragments, and only if the payload is
// the SignedInfo that $prepare makes for them.
func Display(fragments, payload []byte) (*Prescription, error) {
	if !prepares(payload, fragments) {
		return nil, ErrDigest
	}
	return ReadFragments(fragments)
}

// prepares reports whether $prepare makes this SignedInfo for these fragments.
func prepares(info, fragments []byte) bool {
	algorithm, ok := algorithmOf(info)
	if !ok {
		return false
	}
	made, _, err := client.SignedInfo(algorithm, fragments)
	return err == nil && bytes.Equal(made, info)
}

// algorithmOf returns the algorithm that a SignedInfo names, and whether EPS accepts it.
func algorithmOf(info []byte) (string, bool) {
	named, _, ok := client.ParseSignedInfo(info)
	return named, ok && (named == client.RS1 || named == client.RS256)
}
