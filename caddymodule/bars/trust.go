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
// its site's connection policy have the same.
type ReceiverTrust struct {
	// Environment is int or prod, and overrides the global one for this site.
	Environment caddymodule.Environment `json:"environment,omitempty"`

	// Chain are PEM files with the root and sub certificates of the environment; during a change of the authority,
	// those of both.
	Chain []string `json:"chain,omitempty"`

	// TrustPool is one of Caddy's trust pools instead of files, such as the internal CA of a demonstration. The
	// system's is refused, and every other that does not tell what is in it.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// ClientSubjects are the names (CN or DNS name) that a caller's certificate may have. Default: any of the chain.
	ClientSubjects []string `json:"client_subjects,omitempty"`

	// CRL are files with revocation lists, PEM or DER, which are read again when they change.
	CRL []string `json:"crl,omitempty"`
}

// settled is a copy in which the environment is said.
func (t ReceiverTrust) settled(app *caddymodule.App) ReceiverTrust {
	if t.Environment == "" {
		t.Environment = app.Environment
	}
	return t
}

func (t ReceiverTrust) equal(other ReceiverTrust) bool {
	var ours, theirs any // the same JSON may be written in two ways
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
		return nil, errors.New("environment sandbox has no TLS-MA; write environment int or prod")
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

// authorities are the certificates that are trusted.
func (t *ReceiverTrust) authorities(ctx caddy.Context) ([]*x509.Certificate, error) {
	switch {
	case len(t.Chain) > 0 && t.TrustPoolRaw != nil:
		return nil, errors.New("has both chain and trust_pool; use one")
	case len(t.Chain) > 0:
		return bars.ReadCertificates(t.Chain...)
	case t.TrustPoolRaw == nil:
		return nil, nil // which NewTrust refuses
	}
	loaded, err := ctx.LoadModule(t, "TrustPoolRaw")
	if err != nil {
		return nil, fmt.Errorf("trust_pool: %w", err)
	}
	pool, ok := loaded.(caddytls.CertificateProvider)
	if !ok {
		return nil, errors.New("trust_pool: this one does not tell whom it trusts, as the system's does not; name the environment's chain")
	}
	return pool.Certificates(), nil
}

// ReceiverVerifier is what a site's connection policy asks about a caller's certificate, beyond what TLS itself
// checks, on each connection, resumed ones included: that TLS did verify it, against this environment's chain and
// none else, and that it is neither another environment's nor revoked nor of another subject than allowed. The
// directive bars_receiver puts it into its site's policy.
type ReceiverVerifier struct {
	ReceiverTrust

	trust *bars.Trust
}

// CaddyModule returns the module's name for Caddy.
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

// VerifyClientCertificate refuses a caller. Caddy asks it only where there is a certificate; that there is one is
// what the policy's mode sees to, and the handler checks again.
func (v *ReceiverVerifier) VerifyClientCertificate(_ [][]byte, chains [][]*x509.Certificate) error {
	return v.trust.CheckChains(chains)
}

// Interface guards.
var (
	_ caddy.Provisioner                  = (*ReceiverVerifier)(nil)
	_ caddytls.ClientCertificateVerifier = (*ReceiverVerifier)(nil)
)
