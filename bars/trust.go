package bars

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// TrustOptions say who may call a receiver. Environment and Chain are mandatory.
type TrustOptions struct {
	Environment Environment
	// Chain are the authorities of the environment: root and sub, and during a change of them both the old and the
	// new. None else is ever trusted.
	Chain []*x509.Certificate
	// Subjects are the names that a caller's certificate may have, as its CN or a DNS name; empty: any.
	Subjects []string
	// Revoked tells of revoked certificates; nil: none are looked at.
	Revoked *Revocations
	Now     func() time.Time // nil: time.Now
}

// Trust tells whether a connection is the proxy's, by TLS alone (BAR-3.1). It is asked at the handshake,
// resumed sessions included, and again for each request, so that a connection kept open does not outlive an
// authority, a certificate or its revocation.
type Trust struct{ TrustOptions }

// NewTrust refuses a chain that is empty, that holds anything but authorities, or another environment's.
func NewTrust(options TrustOptions) (*Trust, error) {
	if options.Environment != Integration && options.Environment != Production {
		return nil, fmt.Errorf("the environment %q has no TLS-MA; use int or prod", options.Environment)
	}
	if len(options.Chain) == 0 {
		return nil, errors.New("the chain is empty: nobody could be trusted, so nothing starts; name the PEM files with the root and sub certificates of the environment")
	}
	for _, authority := range options.Chain {
		if !authority.IsCA {
			return nil, fmt.Errorf("the chain holds %s, which is no authority; it must hold root and sub certificates only", nameOf(authority))
		}
		if err := CheckAuthority(options.Environment, authority); err != nil {
			return nil, err
		}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Trust{options}, nil
}

// CheckAuthority refuses an authority of the other environment, by its name. NHS England's production chain is
// "NHS Root Authority G2" with "NHS Authentication G2"; integration has a pair of its own (BAR-3.7).
func CheckAuthority(environment Environment, authority *x509.Certificate) error {
	of := Environment("")
	name := authority.Subject.CommonName
	switch {
	case IsProductionAuthority(authority):
		of = Production
	case regexp.MustCompile(`(?i)\b(int|integration|dev|test|dep|path to live)\b`).MatchString(name):
		of = Integration
	}
	if of != "" && of != environment {
		return fmt.Errorf("the chain holds %q, an authority of the %s environment, and this is %s; environments are never mixed", name, of, environment)
	}
	return nil
}

// IsProductionAuthority tells whether a certificate bears the name of one of production's authorities.
func IsProductionAuthority(authority *x509.Certificate) bool {
	return slices.Contains([]string{"NHS Root Authority G2", "NHS Authentication G2"}, authority.Subject.CommonName)
}

// CheckConnection refuses a connection that is not the proxy's. Its error is for the log.
func (t *Trust) CheckConnection(state *tls.ConnectionState) error {
	switch {
	case state == nil:
		return errors.New("the request did not come over TLS")
	case state.Version < tls.VersionTLS12:
		return fmt.Errorf("the connection is %s; TLS 1.2 is the least", tls.VersionName(state.Version))
	case state.Version == tls.VersionTLS12 && !ForwardSecret(tls.CipherSuiteName(state.CipherSuite)):
		return fmt.Errorf("the connection's cipher suite %s is not an ECDHE one", tls.CipherSuiteName(state.CipherSuite))
	case len(state.PeerCertificates) == 0:
		return errors.New("the caller has shown no certificate")
	case len(state.VerifiedChains) > 0 && !state.PeerCertificates[0].Equal(state.VerifiedChains[0][0]):
		return errors.New("the verified chain is another certificate's")
	}
	return t.CheckChains(state.VerifiedChains)
}

// ForwardSecret tells whether a cipher suite, by Go's name, agrees on keys by ECDHE. Those of TLS 1.3 all do.
func ForwardSecret(suite string) bool {
	return strings.HasPrefix(suite, "TLS_ECDHE_") ||
		slices.Contains([]string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}, suite)
}

// CheckChains refuses a caller none of whose chains, each verified by TLS from the leaf up, ends at an authority of
// the environment and holds today. That no chain was verified is a refusal too.
func (t *Trust) CheckChains(chains [][]*x509.Certificate) error {
	refused := errors.New("the caller's certificate was not verified")
	for _, chain := range chains {
		if refused = t.checkChain(chain); refused == nil {
			return nil
		}
	}
	return refused
}

func (t *Trust) checkChain(chain []*x509.Certificate) error {
	if len(chain) < 2 || chain[0].IsCA {
		return errors.New("the caller's certificate is an authority's, not a system's")
	}
	if top := chain[len(chain)-1]; !slices.ContainsFunc(t.Chain, top.Equal) {
		return fmt.Errorf("the caller's certificate %s is vouched for by %s, which is not of the %s chain", nameOf(chain[0]), nameOf(top), t.Environment)
	}
	now := t.Now()
	for _, certificate := range chain {
		if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
			return fmt.Errorf("%s in the caller's chain is valid from %s to %s", nameOf(certificate),
				certificate.NotBefore.UTC().Format(time.DateTime), certificate.NotAfter.UTC().Format(time.DateTime))
		}
	}
	names := namesOf(chain[0])
	for _, name := range names {
		if EnvironmentOf(name) == t.Environment.Other() {
			return fmt.Errorf("the caller's certificate names %s, a system of the %s environment", name, t.Environment.Other())
		}
	}
	if len(t.Subjects) > 0 && !slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(t.Subjects, func(allowed string) bool { return strings.EqualFold(name, allowed) })
	}) {
		return fmt.Errorf("the caller's certificate %s names none of the subjects that may call", nameOf(chain[0]))
	}
	return t.Revoked.check(chain, now)
}

// namesOf are the CN and the DNS names of a certificate.
func namesOf(certificate *x509.Certificate) []string {
	names := slices.Clone(certificate.DNSNames)
	if certificate.Subject.CommonName != "" {
		names = append(names, certificate.Subject.CommonName)
	}
	return names
}

// nameOf is how a certificate is called in messages.
func nameOf(certificate *x509.Certificate) string {
	if names := namesOf(certificate); len(names) > 0 {
		return fmt.Sprintf("%q", names[len(names)-1])
	}
	return fmt.Sprintf("%q", certificate.Subject.String())
}
