package certificates

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"time"
)

// MaxKeyBits bounds the work that a certificate's key can cause.
const MaxKeyBits = 8192

// DefaultMinBits is the smallest RSA key that is accepted where a Policy does not say. Many older cards have it.
const DefaultMinBits = 1024

// Policy says whose certificates are accepted. It keeps nothing and may be copied.
type Policy struct {
	// Issuers are trusted. Nobody else is.
	Issuers []*x509.Certificate

	// Intermediates stand between an issuer and a card, or above an issuer, so that its own revocation can be
	// checked. They are not trusted by themselves.
	Intermediates []*x509.Certificate

	// AllowSHA1 accepts certificates and revocation lists that are signed with SHA-1, of a trusted issuer directly.
	AllowSHA1 bool

	// AnyUser lifts the rule that the certificate's CN begins with the user's id.
	AnyUser bool

	// MinBits is the smallest accepted RSA key. Default 1024.
	MinBits int

	// Revocations knows what is revoked; nil: nothing is looked up.
	Revocations *Revocations

	// RefuseUnchecked refuses a certificate of which nobody can say whether it is revoked, though it names where
	// that can be learnt. Otherwise it is accepted.
	RefuseUnchecked bool
}

// Accepted is a certificate that may stand behind a signature.
type Accepted struct {
	Certificate *x509.Certificate
	Key         *rsa.PublicKey
	Unchecked   string // why its revocation could not be checked, though there is something to be checked; else empty
}

// Check holds a certificate, DER, against the policy: for a user, and for a signature made at a time. Nothing is
// fetched before everything else holds.
func (p Policy) Check(ctx context.Context, der []byte, user string, at time.Time) (Accepted, *Refusal) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return Accepted{}, refuse(Unreadable, "%d bytes that are no X.509 certificate", len(der))
	}
	chains, refused := p.chains(leaf, at)
	if refused != nil {
		return Accepted{}, refused
	}
	key, refused := p.holder(leaf, user)
	if refused != nil {
		return Accepted{}, refused
	}
	unchecked, refused := p.revoked(ctx, chains, at)
	if refused != nil {
		return Accepted{}, refused
	}
	return Accepted{Certificate: leaf, Key: key, Unchecked: unchecked}, nil
}
