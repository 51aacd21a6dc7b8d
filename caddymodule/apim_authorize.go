package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

func init() {
	caddy.RegisterModule(Authorize{})
}

// signInSecretName is where the secret is kept that sign-ins are sealed with while browsers keep them.
const signInSecretName = "countersign/keys/sign-ins"

func (a *App) signInSecret() func(context.Context) ([]byte, error) {
	return jwks.NewSecret(a.vault, signInSecretName, nil).Bytes
}

// Authorize has people sign in at an OpenID provider for the countersign app's clients: /authorize, /callback,
// /userinfo and /backchannel_logout at the path it is mounted at, which is that of an apim_token. Every other path it
// leaves to what follows.
type Authorize struct {
	// PublicURL is the public address of the two. With /callback it is the redirect URI that the provider registers,
	// with /backchannel_logout its logout URI. It may be left out only where every listener is loopback.
	PublicURL string `json:"public_url,omitempty"`

	// Environment overrides the global one for this site.
	Environment Environment `json:"environment,omitempty"`

	// Provider is the issuer of the provider that people sign in at. Default: the first of the countersign app's.
	Provider string `json:"provider,omitempty"`

	authorizer *oauth.Authorizer
	mount      *Mount
}

// CaddyModule returns the module's name for Caddy.
func (Authorize) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.apim_authorize", New: func() caddy.Module { return new(Authorize) }}
}

// Provision makes the authorizer. It opens and connects nothing.
func (z *Authorize) Provision(ctx caddy.Context) error {
	if err := z.provision(ctx); err != nil {
		return fmt.Errorf("apim_authorize %s: %w", z.PublicURL, err)
	}
	return nil
}

func (z *Authorize) provision(ctx caddy.Context) error {
	app, err := app(ctx)
	if err != nil {
		return err
	}
	if err := app.ClaimURL(ctx, "apim_authorize", z.PublicURL, z); err != nil {
		return err
	}
	if z.Environment == "" {
		z.Environment = app.Environment
	}
	if err := z.Environment.Check(); err != nil {
		return err
	}
	if err := app.JoinSite(ctx, z.Environment, "apim_authorize "+z.PublicURL); err != nil {
		return err
	}
	z.PublicURL = strings.TrimSuffix(z.PublicURL, "/")
	if err := z.Environment.checkPublicURL(z.PublicURL); err != nil {
		return err
	}
	z.mount = NewMount("apim_authorize", z.PublicURL, ctx.Slogger(), "authorize", "callback", "userinfo", "backchannel_logout", "backchannel-logout")
	provider, err := app.openID(z.Provider)
	if err != nil {
		return err
	}
	if err := z.Environment.CheckAddress("openid", provider.Issuer()); err != nil {
		return err
	}
	z.authorizer, err = oauth.NewAuthorizer(oauth.Options{
		BaseURL: func(r *http.Request) (string, error) { return tokenBase(z.PublicURL, r) },
		Clients: app.holders, Revoked: app.isRevoked, Store: app.Store(),
		Forms: app.Group(PoolForms), SignIns: app.Group(PoolSignIns),
		Observer: app.oauthObserver, Hold: app.HoldRefusal, Now: app.now, Logger: ctx.Slogger(),
	}, oauth.AuthorizerOptions{
		Provider: provider, Checker: app.checker(), Seal: app.signInSecret(),
		RefuseBearer: (&userInfoDoor{app.HoldRefusal}).refuse,
	})
	return err
}

// userInfoDoor refuses tokens at /userinfo, a resource that has no shape of its own.
type userInfoDoor struct {
	hold func(http.ResponseWriter, *http.Request) // before a stranger is refused
}

func (d *userInfoDoor) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refused := asRefusal(err)
	if refused.stranger() {
		d.hold(w, r)
	}
	ShapeJSON.write(w, r, refused)
}

// ServeHTTP answers the authorizer's paths, and leaves others to what follows.
func (z *Authorize) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !z.authorizer.Answers(r.URL.Path) {
		z.mount.Look(r)
		return next.ServeHTTP(w, r)
	}
	z.Environment.strictTransport(w, z.PublicURL)
	return intake.Serve(w, r, z.authorizer)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Authorize)(nil)
	_ caddyhttp.MiddlewareHandler = (*Authorize)(nil)
)
