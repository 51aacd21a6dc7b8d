package bars

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
)

func init() {
	caddy.RegisterModule(ReceiverVerifier{})
}

// ReceiverTrust says who may call a receiver (BAR-3.1, BAR-3.4). The handler bars_receiver and the verifier bars of
// its site's connection policy must have the same one.
type ReceiverTrust struct {
	// Environment is int or prod, and overrides the global environment for this site.
	Environment caddymodule.Environment `json:"environment,omitempty"`

	// Chain lists PEM files with the environment's root and sub certificates; while the authority changes, the old
	// and the new ones.
	Chain []string `json:"chain,omitempty"`

	// TrustPoolRaw is one of Caddy's trust pools instead of files, such as the internal CA of a demonstration. The
	// system's pool is refused, and so is every pool that does not list its authorities.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// ClientSubjects are the names (CN or DNS name) a caller's certificate may have. Default: any name.
	ClientSubjects []string `json:"client_subjects,omitempty"`

	// CRL lists files with revocation lists, PEM or DER. They are read again when they change.
	CRL []string `json:"crl,omitempty"`
}

// settled returns a copy with the environment set.
func (t ReceiverTrust) settled(app *caddymodule.App) ReceiverTrust {
	if t.Environment == "" {
		t.Environment = app.Environment
	}
	return t
}

func (t ReceiverTrust) equal(other ReceiverTrust) bool {
	var ours, theirs any // compared as values: JSON can be formatted in several ways
	if len(t.TrustPoolRaw)+len(other.TrustPoolRaw) > 0 && (json.Unmarshal(t.TrustPoolRaw, &ours) != nil || json.Unmarshal(other.TrustPoolRaw, &theirs) != nil) {
		return false
	}
	t.TrustPoolRaw, other.TrustPoolRaw = nil, nil
	return reflect.DeepEqual(ours, theirs) && reflect.DeepEqual(t, other)
}

// provision reads the authorities and the revocation lists.
func (t *ReceiverTrust) provision(ctx caddy.Context, app *caddymodule.App) (*bars.Trust, error) {
	*t = t.settled(app)
	if t.Environment == caddymodule.Sandbox {
		return nil, errors.New("environment sandbox has no TLS-MA: use environment int or prod")
	}
	if err := t.Environment.Check(); err != nil {
		return nil, err
	}
	chain, err := t.authorities(ctx)
	if err != nil {
		return nil, err
	}
	var revoked *bars.Revocations
	if len(t.CRL) > 0 {
		if revoked, err = bars.ReadRevocations(t.CRL, chain, time.Now(), ctx.Slogger()); err != nil {
			return nil, err
		}
	}
	return bars.NewTrust(bars.TrustOptions{
		Environment: bars.Environment(t.Environment), Chain: chain, Subjects: t.ClientSubjects, Revoked: revoked, Now: app.Now,
	})
}

// authorities returns the trusted certificates.
func (t *ReceiverTrust) authorities(ctx caddy.Context) ([]*x509.Certificate, error) {
	switch {
	case len(t.Chain) > 0 && t.TrustPoolRaw != nil:
		return nil, errors.New("chain and trust_pool exclude each other: use one")
	case len(t.Chain) > 0:
		return bars.ReadCertificates(t.Chain...)
	case t.TrustPoolRaw == nil:
		return nil, nil // NewTrust refuses an empty chain
	}
	loaded, err := ctx.LoadModule(t, "TrustPoolRaw")
	if err != nil {
		return nil, fmt.Errorf("trust_pool: %w", err)
	}
	pool, ok := loaded.(caddytls.CertificateProvider)
	if !ok {
		return nil, errors.New("trust_pool: this pool does not list its authorities: name the environment's chain")
	}
	return pool.Certificates(), nil
}

// ReceiverVerifier checks a caller's certificate beyond what TLS itself checks, on every connection, also a resumed
// one: TLS verified it against this environment's chain, it is not of another environment, it is not revoked, and its
// subject is allowed. The directive bars_receiver adds it to its site's policy.
type ReceiverVerifier struct {
	ReceiverTrust

	trust *bars.Trust
}

// CaddyModule returns the module's information for Caddy.
func (ReceiverVerifier) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.client_auth.verifier.bars", New: func() caddy.Module { return new(ReceiverVerifier) }}
}

// Provision reads the chain.
func (v *ReceiverVerifier) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err == nil {
		v.trust, err = v.provision(ctx, app)
	}
	if err != nil {
		return fmt.Errorf("verifier bars: %w", err)
	}
	return nil
}

// VerifyClientCertificate refuses a caller. Caddy calls it only if there is a certificate; the policy's mode requires
// one, and the handler checks again.
func (v *ReceiverVerifier) VerifyClientCertificate(_ [][]byte, chains [][]*x509.Certificate) error {
	return v.trust.CheckChains(chains)
}

// Interface guards.
var (
	_ caddy.Provisioner                  = (*ReceiverVerifier)(nil)
	_ caddytls.ClientCertificateVerifier = (*ReceiverVerifier)(nil)
)
