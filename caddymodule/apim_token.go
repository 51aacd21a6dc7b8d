package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/oauth"
)

func init() {
	caddy.RegisterModule(TokenService{})
	httpcaddyfile.RegisterHandlerDirective("apim_token", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		t := &TokenService{}
		return t, t.UnmarshalCaddyfile(h.Dispenser)
	})
}

// TokenService issues API-M access tokens to the countersign app's clients, at the path it is mounted at (by
// handle_path, or with that path stripped in another way).
type TokenService struct {
	// PublicURL is the service's public address. With /token it is the audience of clients' assertions. It may be
	// left out only where every listener is loopback.
	PublicURL string `json:"public_url,omitempty"`

	// Environment overrides the global one for this site.
	Environment Environment `json:"environment,omitempty"`

	// StatusKey is what /_status wants in the header apikey; without one nobody may read it. May be a placeholder
	// such as {env.STATUS_KEY}.
	StatusKey string `json:"status_key,omitempty"`

	// RefreshRepeat is how long after its use a refresh token gets the same answer again, in case that was lost, such as
	// by one of two tabs that refresh at once. 0: never, so that a used one always ends its sign-in. At most 1m. Default:
	// 10s in production, else 0, as the real service does.
	RefreshRepeat *caddy.Duration `json:"refresh_repeat,omitempty"`

	// TellSID adds sid, the session at the OpenID provider, to the answer to an authorization code.
	TellSID bool `json:"tell_sid,omitempty"`

	service http.Handler
	mount   *Mount
}

// CaddyModule returns the module's name for Caddy.
func (TokenService) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.apim_token", New: func() caddy.Module { return new(TokenService) }}
}

// Provision makes the service. It opens and connects nothing.
func (t *TokenService) Provision(ctx caddy.Context) error {
	if err := t.provision(ctx); err != nil {
		return fmt.Errorf("apim_token %s: %w", t.PublicURL, err)
	}
	return nil
}

func (t *TokenService) provision(ctx caddy.Context) error {
	app, err := app(ctx)
	if err != nil {
		return err
	}
	if err := app.ClaimURL(ctx, "apim_token", t.PublicURL, t); err != nil {
		return err
	}
	if t.Environment == "" {
		t.Environment = app.Environment
	}
	if err := t.Environment.Check(); err != nil {
		return err
	}
	if err := app.JoinSite(ctx, t.Environment, "apim_token "+t.PublicURL); err != nil {
		return err
	}
	t.PublicURL = strings.TrimSuffix(t.PublicURL, "/")
	if err := t.Environment.checkPublicURL(t.PublicURL); err != nil {
		return err
	}
	t.mount = NewMount("apim_token", t.PublicURL, ctx.Slogger(), "token", "openapi.json", "_ping", "_status")
	statusKey, err := caddy.NewReplacer().ReplaceOrErr(t.StatusKey, true, true)
	if err != nil {
		return fmt.Errorf("status_key: %w", err)
	}
	repeat, err := t.refreshRepeat()
	if err != nil {
		return err
	}
	if t.PublicURL != "" && app.tokenURL == "" {
		app.tokenURL = t.PublicURL + "/token"
	}
	t.service, err = oauth.New(oauth.Options{
		BaseURL: func(r *http.Request) (string, error) { return tokenBase(t.PublicURL, r) },
		Clients: app.holders, Keys: app.keys, Store: app.Store(), Providers: app.providers(), TellSID: t.TellSID, RefreshRepeat: repeat, ShorterLives: t.Environment != Production, Observer: app.oauthObserver, Hold: app.HoldRefusal,
		Forms: app.Group(PoolForms), SignIns: app.Group(PoolSignIns),
		Auditor: app.tokenAuditor(), AuditOptional: app.Audit.Optional,
		Version: oauth.Version(Version()), StatusKey: statusKey, Now: app.now, Logger: ctx.Slogger(),
	})
	return err
}

// tokenBase is a public URL, or, for a service on loopback without one, what the request came to.
func tokenBase(publicURL string, r *http.Request) (string, error) {
	if publicURL != "" {
		return publicURL, nil
	}
	base, ok := loopbackBase(r)
	if !ok {
		return "", &oauth.Error{Status: http.StatusMisdirectedRequest, Code: "unknown_error", Description: needsPublicURL}
	}
	return base, nil
}

// ServeHTTP answers everything below the service's path.
func (t *TokenService) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	t.mount.Look(r)
	t.Environment.strictTransport(w, t.PublicURL)
	return intake.Serve(w, r, t.service)
}

// UnmarshalCaddyfile reads:
//
//	apim_token {
//		public_url  <url>
//		environment sandbox|int|prod
//		status_key  <key>
//		refresh_repeat <duration>
//		tell_sid
//	}
func (t *TokenService) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return parse.Options{
		"public_url":  parse.One(&t.PublicURL),
		"environment": parse.One(&t.Environment),
		"status_key":  parse.One(&t.StatusKey),
		"tell_sid":    parse.Flag(&t.TellSID),

		"refresh_repeat": t.parseRefreshRepeat,
	}.Directive(d)
}

func (t *TokenService) parseRefreshRepeat(d *caddyfile.Dispenser) error {
	var repeat caddy.Duration
	if !d.NextArg() {
		return d.ArgErr()
	}
	if d.Val() != "0" {
		d.Prev()
		if err := parse.NextDuration(d, &repeat); err != nil {
			return err
		}
	}
	t.RefreshRepeat = &repeat
	return parse.NoMore(d)
}

const (
	defaultRefreshRepeat = 10 * time.Second
	maxRefreshRepeat     = time.Minute
)

// refreshRepeat is the option, or its default.
func (t *TokenService) refreshRepeat() (time.Duration, error) {
	switch {
	case t.RefreshRepeat == nil && t.Environment == Production:
		return defaultRefreshRepeat, nil
	case t.RefreshRepeat == nil:
		return 0, nil
	}
	repeat := time.Duration(*t.RefreshRepeat)
	if repeat < 0 || repeat > maxRefreshRepeat {
		return 0, fmt.Errorf("refresh_repeat %s is not between 0 and %s", repeat, maxRefreshRepeat)
	}
	return repeat, nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*TokenService)(nil)
	_ caddyhttp.MiddlewareHandler = (*TokenService)(nil)
	_ caddyfile.Unmarshaler       = (*TokenService)(nil)
)
