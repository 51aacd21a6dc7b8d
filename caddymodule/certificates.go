package caddymodule

import (
	"context"
	"crypto/fips140"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/signing"
)

// Certificates says whose certificates may stand behind a signature (SIG-5).
type Certificates struct {
	// Issuers are PEM files with the certificates of accepted issuers.
	Issuers []string `json:"issuers,omitempty"`

	// Intermediates are PEM files with certificates that are not trusted by themselves: of authorities between an
	// issuer and a card, and of those above an issuer, with which its own revocation is checked.
	Intermediates []string `json:"intermediates,omitempty"`

	// TrustMock accepts this installation's own mock CA, for mock sessions. Refused in production.
	TrustMock bool `json:"trust_mock,omitempty"`

	// AnyUser accepts a certificate of another person than the one the request names.
	AnyUser bool `json:"any_user,omitempty"`

	// MinBits is the smallest accepted RSA key of a card, at least 1024. Default: 1024, in production 2048.
	MinBits int `json:"min_bits,omitempty"`

	// AllowSHA1 accepts certificates, revocation lists and responders' answers that are signed with SHA-1.
	AllowSHA1 bool `json:"allow_sha1,omitempty"`

	// CRL says how revocation lists are used.
	CRL CRL `json:"crl,omitzero"`

	// NoOCSP asks no responders that certificates name.
	NoOCSP bool `json:"no_ocsp,omitempty"`
}

// CRL says how revocation lists are used, and whom certificates may send the gateway to.
type CRL struct {
	// OnFailure is "pass" or "refuse": what becomes of a certificate of which nobody can say whether it is revoked,
	// though it names where that can be learnt. Default: pass, in production refuse.
	OnFailure string `json:"on_failure,omitempty"`

	// Hosts (host or host:port) are who may be asked for lists, and for OCSP. Default: crl.nhs.uk.
	Hosts []string `json:"hosts,omitempty"`

	// Rewrites lead addresses that begin with From through a relay.
	Rewrites []certificates.Rewrite `json:"rewrites,omitempty"`

	MaxSize    int64          `json:"max_size,omitempty"`    // bytes of a list; default 32 MiB
	MaxEntries int            `json:"max_entries,omitempty"` // of a list; default 500,000
	Refresh    caddy.Duration `json:"refresh,omitempty"`     // a list older than this is fetched anew; default 1h
	Stale      caddy.Duration `json:"stale,omitempty"`       // how long a list counts after it should have been renewed; default 0
	Timeout    caddy.Duration `json:"timeout,omitempty"`     // of one fetch; default 20s

	// Dir is where lists are kept over a restart. Default: countersign/crl under Caddy's data directory.
	Dir string `json:"dir,omitempty"`
}

// What becomes of certificates that nobody can check.
const (
	pass   = "pass"
	refuse = "refuse"
)

// check refuses what cannot be meant.
func (c *Certificates) check() error {
	switch c.CRL.OnFailure {
	case "", pass, refuse:
	default:
		return fmt.Errorf("crl on_failure %q is not known; write pass or refuse", c.CRL.OnFailure)
	}
	if c.MinBits != 0 && (c.MinBits < certificates.DefaultMinBits || c.MinBits > certificates.MaxKeyBits) {
		return fmt.Errorf("min_bits %d cannot be; use %d to %d", c.MinBits, certificates.DefaultMinBits, certificates.MaxKeyBits)
	}
	if c.AllowSHA1 && fips140.Enforced() {
		return errors.New("allow_sha1 is refused in this FIPS-only process; take it out")
	}
	return c.CRL.check()
}

// check refuses sizes and times that nobody can mean.
func (c *CRL) check() error {
	if err := CheckLimits(
		Limit{"crl refresh", c.Refresh, 7 * 24 * time.Hour, "a revoked card would be accepted all the while"},
		Limit{"crl stale", c.Stale, 30 * 24 * time.Hour, "a list that old proves nothing"},
		Limit{"crl timeout", c.Timeout, 5 * time.Minute, "whoever signs waits for it"},
	); err != nil {
		return err
	}
	if err := CheckCount("crl max_size", c.MaxSize, 1<<30); err != nil {
		return err
	}
	return CheckCount("crl max_entries", int64(c.MaxEntries), 100_000_000)
}

// trust makes the policy for the certificates of a site's cards.
func (a *App) trust(c *Certificates, of Environment) (signing.Trust, error) {
	production := of == Production
	trust := signing.Trust{Policy: certificates.Policy{
		AllowSHA1: c.AllowSHA1, AnyUser: c.AnyUser, MinBits: c.MinBits,
		RefuseUnchecked: c.CRL.OnFailure == refuse || c.CRL.OnFailure == "" && production,
	}}
	if trust.MinBits == 0 && production {
		trust.MinBits = 2048
	}
	var err error
	if trust.Issuers, err = certificates.ReadPEM(c.Issuers...); err != nil {
		return trust, fmt.Errorf("certificates: trust_pool file %w", err)
	}
	if trust.Intermediates, err = certificates.ReadPEM(c.Intermediates...); err != nil {
		return trust, fmt.Errorf("certificates: intermediates %w", err)
	}
	for what, all := range map[string][]*x509.Certificate{"trust_pool file": trust.Issuers, "intermediates": trust.Intermediates} {
		for _, one := range all {
			if err := certificates.CheckIssuer(one); err != nil {
				return trust, fmt.Errorf("certificates: %s: %w", what, err)
			}
		}
	}
	if c.TrustMock {
		trust.Mock = a.mockCA
	}
	for _, issuer := range trust.Uncheckable() {
		if trust.RefuseUnchecked {
			return trust, fmt.Errorf("certificates: the revocation of %s cannot be checked without the certificate of %s, so every card would be refused; add it with intermediates <pem file>, or write crl on_failure pass",
				issuer.Subject, issuer.Issuer)
		}
		a.logger.Warn("the revocation of an issuer's own certificate cannot be checked; add the certificate of its issuer with intermediates",
			"issuer", issuer.Subject.String(), "missing", issuer.Issuer.String())
	}
	trust.Revocations, err = a.acquireRevocations(c)
	if err != nil {
		return trust, fmt.Errorf("certificates: crl: %w", err)
	}
	return trust, nil
}

// mockCA reads the mock's own CA from Caddy's storage, where the mock has put it by the time that it has signed.
func (a *App) mockCA(ctx context.Context) (*x509.Certificate, error) {
	text, err := a.vault.Load(ctx, MockCACertificate)
	if err != nil {
		return nil, fmt.Errorf("the mock's CA is not in Caddy's storage (%s): is the mock agent part of this installation? %w", MockCACertificate, err)
	}
	found, err := certificates.ParsePEM(text)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Judge returns what judges the certificates behind signatures that were made at some time: none of its codes says that
// one is accepted. Whose card it is does not matter.
func (a *App) Judge(c *Certificates) (func(ctx context.Context, leaf *x509.Certificate, signed time.Time) []certificates.Code, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	trust, err := a.trust(c, a.Environment)
	if err != nil {
		return nil, err
	}
	trust.AnyUser = true
	return func(ctx context.Context, leaf *x509.Certificate, signed time.Time) []certificates.Code {
		policy := trust.Policy
		if trust.Mock != nil {
			ca, err := trust.Mock(ctx)
			if err != nil {
				a.logger.WarnContext(ctx, "the mock's CA cannot be read", "error", err.Error())
			} else {
				policy.Issuers = append([]*x509.Certificate{ca}, policy.Issuers...)
			}
		}
		if _, refused := policy.Check(ctx, leaf.Raw, "", signed); refused != nil {
			return []certificates.Code{refused.Code}
		}
		return nil
	}, nil
}

// Parse reads the block certificates of another directive.
func (c *Certificates) Parse(d *caddyfile.Dispenser) error { return c.parse(d) }

// revocationOptions are what certificates says of revocations, in full.
func (a *App) revocationOptions(c *Certificates) (certificates.Options, error) {
	outgoing, err := a.Outbound(a.Environment)
	if err != nil {
		return certificates.Options{}, err
	}
	dir := c.CRL.Dir
	if dir == "" {
		dir = filepath.Join(caddy.AppDataDir(), "countersign", "crl")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return certificates.Options{}, err
	}
	outgoing.Timeout = time.Duration(c.CRL.Timeout)
	return certificates.Options{
		Hosts: c.CRL.Hosts, Rewrites: c.CRL.Rewrites, Outbound: outgoing, Dir: dir, MaxBytes: c.CRL.MaxSize,
		MaxEntries: c.CRL.MaxEntries, Refresh: time.Duration(c.CRL.Refresh), Stale: time.Duration(c.CRL.Stale), NoOCSP: c.NoOCSP,
		Now: a.now, Logger: a.logger,
	}, nil
}
