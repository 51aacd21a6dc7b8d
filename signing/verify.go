package signing

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RS1 is what prescriptions were signed with; SIG-1.8 demands it for payloads
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

// refusal is why a run ends without signatures: a code from the table of reasons for the person, and for the
// operator what was expected and what came.
type refusal struct {
	code   string
	final  bool // trying again cannot help
	detail string
}

func (r *refusal) Error() string { return r.code + ": " + r.detail }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{code: code, final: true, detail: fmt.Sprintf(format, args...)}
}

// asRefusal says why a run came to nothing, or nil. What neither we nor the agent refused, such as a run that was
// stopped because the service stops, is an interruption.
func asRefusal(err error) *refusal {
	var refused *refusal
	var agent *smartcard.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &agent):
		return &refusal{code: agent.Code, final: agent.Final, detail: err.Error()}
	default:
		return &refusal{code: reasonInterrupted, detail: err.Error()}
	}
}

// verify holds what an agent returned against what was asked: the certificate first, then that there is one
// signature for each item and no other, and that each verifies over the bytes we stored. It returns what may be
// released, the certificate first and then the signatures in the request's order; all or nothing (SIG-5.1).
func (s *Service) verify(ctx context.Context, of *session, items []item, result *smartcard.Result) ([]item, *refusal) {
	if result == nil {
		return nil, refuse(smartcard.CodeMismatch, "no result and no error")
	}
	leaf, key, refused := s.verifyCertificate(ctx, of, result.Certificate)
	if refused != nil {
		return nil, refused
	}
	if len(result.Signatures) != len(items) {
		return nil, refuse(smartcard.CodeMismatch, "%d signatures for %d items", len(result.Signatures), len(items))
	}
	released := make([]item, 1, len(items)+1)
	released[0] = item{Payload: leaf.Raw}
	for i, it := range items {
		signature := result.Signatures[i]
		if err := verifySignature(key, of.Algorithm, it.Payload, signature); err != nil {
			return nil, refuse(reasonSignature, "item %d: %v", i, err)
		}
		released = append(released, item{ID: it.ID, Payload: signature})
	}
	return released, nil
}

// verifySignature checks one signature over a payload's bytes as they are.
func verifySignature(key *rsa.PublicKey, algorithm string, payload, signature []byte) error {
	switch algorithm {
	case RS1:
		sum := sha1.Sum(payload) //nolint:gosec // as above
		return rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case RS256:
		sum := sha256.Sum256(payload)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	case PS256:
		sum := sha256.Sum256(payload)
		return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return fmt.Errorf("algorithm %q is not known", algorithm)
}
