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

// Certificates configures which certificates a signature may use (SIG-5).
type Certificates struct {
	// Issuers are PEM files with the certificates of accepted issuers.
	Issuers []string `json:"issuers,omitempty"`

	// Intermediates are PEM files with certificates that are not trusted by themselves: authorities between an issuer
	// and a card, and authorities above an issuer, which are needed to check the issuer's own revocation.
	Intermediates []string `json:"intermediates,omitempty"`

	// TrustMock accepts this gateway's own mock CA, for mock sessions. Refused in production.
	TrustMock bool `json:"trust_mock,omitempty"`

	// AnyUser accepts a certificate of a person other than the one named in the request.
	AnyUser bool `json:"any_user,omitempty"`

	// MinBits is the smallest accepted RSA key of a card, at least 1024. Default: 1024, in production 2048.
	MinBits int `json:"min_bits,omitempty"`

	// AllowSHA1 accepts SHA-1 signatures on certificates, revocation lists and OCSP responses.
	AllowSHA1 bool `json:"allow_sha1,omitempty"`

	// CRL says how revocation lists are used.
	CRL CRL `json:"crl,omitzero"`

	// NoOCSP turns off OCSP.
	NoOCSP bool `json:"no_ocsp,omitempty"`
}

// CRL configures the use of revocation lists, and the hosts from which lists and OCSP responses are fetched.
type CRL struct {
	// OnFailure is "pass" or "refuse": what to do with a certificate that names a revocation source when its status
	// cannot be determined. Default: pass; in production: refuse.
	OnFailure string `json:"on_failure,omitempty"`

	// Hosts (host or host:port) may be asked for lists and for OCSP. Default: crl.nhs.uk.
	Hosts []string `json:"hosts,omitempty"`

	// Rewrites send addresses that begin with From through a relay.
	Rewrites []certificates.Rewrite `json:"rewrites,omitempty"`

	MaxSize    int64          `json:"max_size,omitempty"`    // bytes per list; default 32 MiB
	MaxEntries int            `json:"max_entries,omitempty"` // entries per list; default 500,000
	Refresh    caddy.Duration `json:"refresh,omitempty"`     // age at which a list is fetched again; default 1h
	Stale      caddy.Duration `json:"stale,omitempty"`       // how long a list counts after its nextUpdate; default 0
	Timeout    caddy.Duration `json:"timeout,omitempty"`     // of one fetch; default 20s

	// Dir keeps lists across restarts. Default: countersign/crl in Caddy's data directory.
	Dir string `json:"dir,omitempty"`
}

// The values of OnFailure.
const (
	pass   = "pass"
	refuse = "refuse"
)

// check refuses invalid values.
func (c *Certificates) check() error {
	switch c.CRL.OnFailure {
	case "", pass, refuse:
	default:
		return fmt.Errorf("unknown crl on_failure %q: use pass or refuse", c.CRL.OnFailure)
	}
	if c.MinBits != 0 && (c.MinBits < certificates.DefaultMinBits || c.MinBits > certificates.MaxKeyBits) {
		return fmt.Errorf("min_bits %d is out of range: use %d to %d", c.MinBits, certificates.DefaultMinBits, certificates.MaxKeyBits)
	}
	if c.AllowSHA1 && fips140.Enforced() {
		return errors.New("allow_sha1 is refused in a FIPS-only process: remove it")
	}
	return c.CRL.check()
}

// check refuses sizes and durations out of range.
func (c *CRL) check() error {
	if err := CheckLimits(
		Limit{"crl refresh", c.Refresh, 7 * 24 * time.Hour, "a revoked card would be accepted that long"},
		Limit{"crl stale", c.Stale, 30 * 24 * time.Hour, "a list that old proves nothing"},
		Limit{"crl timeout", c.Timeout, 5 * time.Minute, "the signer waits for it"},
	); err != nil {
		return err
	}
	if err := CheckCount("crl max_size", c.MaxSize, 1<<30); err != nil {
		return err
	}
	return CheckCount("crl max_entries", int64(c.MaxEntries), 100_000_000)
}

// trust makes the certificate policy of a site.
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
			return trust, fmt.Errorf("certificates: the revocation of %s cannot be checked without the certificate of %s, so every card would be refused: add it with intermediates <pem file>, or set crl on_failure pass",
				issuer.Subject, issuer.Issuer)
		}
		a.logger.Warn("cannot check the revocation of an issuer's own certificate: add the certificate of its issuer with intermediates",
			"issuer", issuer.Subject.String(), "missing", issuer.Issuer.String())
	}
	trust.Revocations, err = a.acquireRevocations(c)
	if err != nil {
		return trust, fmt.Errorf("certificates: crl: %w", err)
	}
	return trust, nil
}

// mockCA reads the mock's CA from Caddy's storage. The mock stores it there before it signs.
func (a *App) mockCA(ctx context.Context) (*x509.Certificate, error) {
	text, err := a.vault.Load(ctx, MockCACertificate)
	if err != nil {
		return nil, fmt.Errorf("the mock CA is not in Caddy's storage (%s): run the mock agent on the same storage: %w", MockCACertificate, err)
	}
	found, err := certificates.ParsePEM(text)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Judge returns a function that checks a signer's certificate at the time of the signature. It returns no codes if the
// certificate is accepted. It accepts any user's card.
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
				a.logger.WarnContext(ctx, "cannot read the mock CA", "error", err.Error())
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

// Parse reads a certificates block in another directive.
func (c *Certificates) Parse(d *caddyfile.Dispenser) error { return c.parse(d) }

// revocationOptions returns the complete options for revocation checks.
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
