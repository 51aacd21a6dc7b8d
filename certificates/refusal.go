package certificates

import "fmt"

// Code is a stable word for why a certificate is refused.
type Code string

// The codes, in the order of the checks.
const (
	Unreadable    Code = "certificate_unreadable"         // not one X.509 certificate
	Untrusted     Code = "certificate_untrusted"          // no accepted issuer signed it
	SHA1          Code = "certificate_sha1"               // one did, with SHA-1, which must be allowed
	IssuerExpired Code = "certificate_issuer_expired"     // one did, whose own certificate was not valid at the time
	Expired       Code = "certificate_expired"            // it was no longer valid
	NotYetValid   Code = "certificate_not_yet_valid"      // it was not valid yet
	NotForSigning Code = "certificate_usage"              // an authority's, or not for signatures
	KeyRefused    Code = "certificate_key"                // the key's kind or size
	OtherUser     Code = "certificate_user"               // somebody else's
	Revoked       Code = "certificate_revoked"            // revoked, for a reason or at a time that counts
	IssuerRevoked Code = "certificate_issuer_revoked"     // its issuer's certificate is revoked
	Unchecked     Code = "certificate_revocation_unknown" // its revocation cannot be determined, and policy refuses that
)

// Codes returns all codes.
func Codes() []Code {
	return []Code{Unreadable, Untrusted, SHA1, IssuerExpired, Expired, NotYetValid, NotForSigning, KeyRefused, OtherUser,
		Revoked, IssuerRevoked, Unchecked}
}

// Refusal is the reason why a certificate is not accepted. Detail is for the operator: what was expected and what came.
// It contains no personal data.
type Refusal struct {
	Code   Code
	Detail string
}

func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Detail }

// Retry reports whether the same certificate may be accepted a little later.
func (r *Refusal) Retry() bool { return r.Code == Unchecked }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}
}
