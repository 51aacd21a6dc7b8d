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
	// Chain holds the environment's authorities, root and sub; while they are being replaced, both the old and the
	// new ones. No other authority is trusted.
	Chain []*x509.Certificate
	// Subjects are the names a caller's certificate may have, as CN or DNS name. Empty admits any.
	Subjects []string
	// Revoked holds revoked certificates. nil disables the check.
	Revoked *Revocations
	Now     func() time.Time // nil: time.Now
}

// Trust decides by TLS alone whether a connection comes from the proxy (BAR-3.1). It is checked at the handshake,
// also of resumed sessions, and for each request, so that an open connection does not outlive an authority, a
// certificate or its revocation.
type Trust struct{ TrustOptions }

// NewTrust refuses a chain that is empty, contains anything but authorities, or belongs to the other environment.
func NewTrust(options TrustOptions) (*Trust, error) {
	if options.Environment != Integration && options.Environment != Production {
		return nil, fmt.Errorf("the environment %q has no TLS-MA: use int or prod", options.Environment)
	}
	if len(options.Chain) == 0 {
		return nil, errors.New("the chain is empty: name the PEM files with the root and sub certificates of the environment")
	}
	for _, authority := range options.Chain {
		if !authority.IsCA {
			return nil, fmt.Errorf("the chain contains %s, which is not an authority: list only root and sub certificates", nameOf(authority))
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

// CheckAuthority refuses an authority whose name is of the other environment. NHS England's production chain is "NHS
// Root Authority G2" and "NHS Authentication G2"; integration has its own pair (BAR-3.7).
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
		return fmt.Errorf("the chain contains %q, an authority of the %s environment, but this environment is %s: environments are never mixed", name, of, environment)
	}
	return nil
}

// IsProductionAuthority reports whether a certificate has the name of a production authority.
func IsProductionAuthority(authority *x509.Certificate) bool {
	return slices.Contains([]string{"NHS Root Authority G2", "NHS Authentication G2"}, authority.Subject.CommonName)
}

// CheckConnection refuses a connection that is not the proxy's. The error is for the log.
func (t *Trust) CheckConnection(state *tls.ConnectionState) error {
	switch {
	case state == nil:
		return errors.New("the request did not come over TLS")
	case state.Version < tls.VersionTLS12:
		return fmt.Errorf("the connection uses %s, want TLS 1.2 or later", tls.VersionName(state.Version))
	case state.Version == tls.VersionTLS12 && !ForwardSecret(tls.CipherSuiteName(state.CipherSuite)):
		return fmt.Errorf("the connection's cipher suite %s does not use ECDHE", tls.CipherSuiteName(state.CipherSuite))
	case len(state.PeerCertificates) == 0:
		return errors.New("the caller presented no certificate")
	case len(state.VerifiedChains) > 0 && !state.PeerCertificates[0].Equal(state.VerifiedChains[0][0]):
		return errors.New("the verified chain does not begin with the presented certificate")
	}
	return t.CheckChains(state.VerifiedChains)
}

// ForwardSecret reports whether a cipher suite, by Go's name, agrees on keys by ECDHE. All suites of TLS 1.3 do.
func ForwardSecret(suite string) bool {
	return strings.HasPrefix(suite, "TLS_ECDHE_") ||
		slices.Contains([]string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}, suite)
}

// CheckChains accepts a caller if one of its chains, verified by TLS and ordered from the leaf up, ends at an
// authority of the environment and is valid now. No chain at all is a refusal.
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
		return errors.New("the caller's certificate is an authority, not a system")
	}
	if top := chain[len(chain)-1]; !slices.ContainsFunc(t.Chain, top.Equal) {
		return fmt.Errorf("the caller's certificate %s is issued under %s, which is not in the %s chain", nameOf(chain[0]), nameOf(top), t.Environment)
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
			return fmt.Errorf("the caller's certificate is for %s, a system of the %s environment", name, t.Environment.Other())
		}
	}
	if len(t.Subjects) > 0 && !slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(t.Subjects, func(allowed string) bool { return strings.EqualFold(name, allowed) })
	}) {
		return fmt.Errorf("the caller's certificate %s has none of the allowed subjects", nameOf(chain[0]))
	}
	return t.Revoked.check(chain, now)
}

// namesOf returns a certificate's CN and DNS names.
func namesOf(certificate *x509.Certificate) []string {
	names := slices.Clone(certificate.DNSNames)
	if certificate.Subject.CommonName != "" {
		names = append(names, certificate.Subject.CommonName)
	}
	return names
}

// nameOf returns how messages call a certificate.
func nameOf(certificate *x509.Certificate) string {
	if names := namesOf(certificate); len(names) > 0 {
		return fmt.Sprintf("%q", names[len(names)-1])
	}
	return fmt.Sprintf("%q", certificate.Subject.String())
}
