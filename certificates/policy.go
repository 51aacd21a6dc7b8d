package certificates

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"time"
)

// MaxKeyBits bounds the work that a certificate's key can cause.
const MaxKeyBits = 8192

// DefaultMinBits is the default for the smallest accepted RSA key, which many older cards have.
const DefaultMinBits = 1024

// Policy configures which certificates are accepted. It has no state and may be copied.
type Policy struct {
	// Issuers are the only trusted issuers.
	Issuers []*x509.Certificate

	// Intermediates are between an issuer and a card, or above an issuer, so that its own revocation can be checked. They
	// are not trusted by themselves.
	Intermediates []*x509.Certificate

	// AllowSHA1 accepts certificates signed with SHA-1 directly by a trusted issuer, and lists signed with SHA-1.
	AllowSHA1 bool

	// AnyUser drops the rule that the certificate's CN begins with the user's id.
	AnyUser bool

	// MinBits is the size of the smallest accepted RSA key. Default 1024.
	MinBits int

	// Revocations looks up revocations; nil: revocation is not checked.
	Revocations *Revocations

	// RefuseUnchecked refuses a certificate whose revocation cannot be determined although it names a source. By
	// default such a certificate is accepted.
	RefuseUnchecked bool
}

// Accepted is a certificate that is accepted for a signature.
type Accepted struct {
	Certificate *x509.Certificate
	Key         *rsa.PublicKey
	Unchecked   string // why its revocation could not be checked although it names a source; otherwise empty
}

// Check checks a DER certificate against the policy, for a user and for a signature made at a time. Nothing is fetched
// before all other checks have passed.
func (p Policy) Check(ctx context.Context, der []byte, user string, at time.Time) (Accepted, *Refusal) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return Accepted{}, refuse(Unreadable, "%d bytes are not an X.509 certificate", len(der))
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
