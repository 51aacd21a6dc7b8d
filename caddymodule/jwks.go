package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/intake"
)

func init() {
	caddy.RegisterModule(PublishedKeys{})
	httpcaddyfile.RegisterHandlerDirective("countersign_jwks", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		p := &PublishedKeys{}
		return p, p.UnmarshalCaddyfile(h.Dispenser)
	})
}

// PublishedKeys serves the gateway's own public keys as a JWK set. A signing_service serves the same set at its
// /jwks.json.
type PublishedKeys struct {
	app *App
}

// CaddyModule returns the module's name for Caddy.
func (PublishedKeys) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.countersign_jwks", New: func() caddy.Module { return new(PublishedKeys) }}
}

// Provision finds the app that owns the keys.
func (p *PublishedKeys) Provision(ctx caddy.Context) error {
	var err error
	if p.app, err = app(ctx); err != nil {
		return fmt.Errorf("countersign_jwks: %w", err)
	}
	return nil
}

// ServeHTTP answers GET and HEAD with the key set.
func (p *PublishedKeys) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	return intake.Guard(w, r, p.serve)
}

func (p *PublishedKeys) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return caddyhttp.Error(http.StatusMethodNotAllowed, nil)
	}
	set, err := p.app.ring.PublicSet(r.Context())
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, err = w.Write(set)
	return err
}

// UnmarshalCaddyfile reads:
//
//	countersign_jwks
func (p *PublishedKeys) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // countersign_jwks
	return parse.NoMore(d)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*PublishedKeys)(nil)
	_ caddyhttp.MiddlewareHandler = (*PublishedKeys)(nil)
	_ caddyfile.Unmarshaler       = (*PublishedKeys)(nil)
)
