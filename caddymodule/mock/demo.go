package mock

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/demo"
	"github.com/seed-dd2befc3/countersign/intake"
)

func init() {
	caddy.RegisterModule(Demo{})
	httpcaddyfile.RegisterHandlerDirective("countersign_demo", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		d := &Demo{}
		return d, d.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("countersign_demo", httpcaddyfile.Before, "reverse_proxy")
}

// demos holds the running demos, so that a demo and the batches in its memory survive a reload.
var demos = caddy.NewUsagePool()

// Demo is a demo client system at the path it is mounted at: a real client of the Signing Service with its own key
// and pages.
type Demo struct {
	// Client is the client id it is registered with. Default: demo-epr.
	Client string `json:"client,omitempty"`
	// KID names its key. Default: demo-epr-1.
	KID string `json:"kid,omitempty"`
	// Name is shown on its pages. Default: Demo EPR.
	Name string `json:"name,omitempty"`
	// PublicURL is its URL for browsers. May be left out on loopback.
	PublicURL string `json:"public_url,omitempty"`
	// Service is the Signing Service's URL. Default: /signing-service beside the demo.
	Service string `json:"service,omitempty"`
	// Token is the token service's URL. Default: this gateway's own apim_token, if it has one.
	Token string `json:"token,omitempty"`

	key   string // in the pool, after it was acquired
	run   *running
	mount *caddymodule.Mount
}

// running is a demo in the pool.
type running struct {
	*demo.Demo
	tokens *tokens
}

// Destruct waits for a key that is being made.
func (r *running) Destruct() error {
	r.Close()
	return nil
}

// CaddyModule returns the module's information for Caddy.
func (Demo) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.countersign_demo", New: func() caddy.Module { return new(Demo) }}
}

// Provision makes the demo, or joins the running one. Its key is made when the configuration starts.
func (d *Demo) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err != nil {
		return fmt.Errorf("countersign_demo: %w", err)
	}
	if err := outsideProduction(app, "countersign_demo"); err != nil {
		return err
	}
	d.mount = caddymodule.NewMount("countersign_demo", d.PublicURL, ctx.Slogger(), "sign", "signed", "webhook", "webhooks", "jwks.json")
	if err := app.ClaimURL(ctx, "countersign_demo", d.PublicURL, d); err != nil {
		return fmt.Errorf("countersign_demo: %w", err)
	}
	if d.Client == "" {
		d.Client = "demo-epr"
	}
	key := strings.Join([]string{d.Client, d.KID, d.Name, d.PublicURL, d.Service}, "\x00")
	value, _, err := demos.LoadOrNew(key, func() (caddy.Destructor, error) {
		tokens := &tokens{client: d.Client}
		made, err := demo.New(demo.Options{
			ClientID: d.Client, KID: d.KID, Name: d.Name, PublicURL: d.PublicURL, ServiceURL: d.Service,
			Authorize: tokens.authorize, HTTP: &http.Client{Transport: tokens, Timeout: callTimeout},
			Vault: app.Vault(), Logger: ctx.Slogger(),
		})
		return &running{made, tokens}, err
	})
	if err != nil {
		return fmt.Errorf("countersign_demo: %w", err)
	}
	d.key, d.run = key, value.(*running)
	app.OnStart(func(ctx context.Context) {
		d.run.tokens.use(cmp.Or(d.Token, app.TokenURL()))
		d.run.Start(ctx)
	})
	return nil
}

// Cleanup releases the demo.
func (d *Demo) Cleanup() error {
	if d.run == nil {
		return nil
	}
	d.run = nil
	_, err := demos.Delete(d.key)
	return err
}

// ServeHTTP answers every path under the demo's.
func (d *Demo) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	d.mount.Look(r)
	return intake.Serve(w, r, d.run)
}

// UnmarshalCaddyfile reads:
//
//	countersign_demo {
//		client     <id>
//		kid        <kid>
//		name       <text>
//		public_url <url>
//		service    <url>
//		token      <url>
//	}
func (d *Demo) UnmarshalCaddyfile(c *caddyfile.Dispenser) error {
	return parse.Options{
		"client":     parse.One(&d.Client),
		"kid":        parse.One(&d.KID),
		"name":       parse.One(&d.Name),
		"public_url": parse.One(&d.PublicURL),
		"service":    parse.One(&d.Service),
		"token":      parse.One(&d.Token),
	}.Directive(c)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Demo)(nil)
	_ caddy.CleanerUpper          = (*Demo)(nil)
	_ caddyhttp.MiddlewareHandler = (*Demo)(nil)
	_ caddyfile.Unmarshaler       = (*Demo)(nil)
)
