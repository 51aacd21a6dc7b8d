package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
)

func init() {
	caddy.RegisterModule(BearerProvider{})
}

// BearerProvider is the check of apim_bearer for those who write Caddy's authentication handler in JSON. Such a
// provider can only answer 401, in Caddy's own shape.
type BearerProvider struct {
	Demands

	door *Door
}

// CaddyModule returns the module's name for Caddy.
func (BearerProvider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.authentication.providers.apim_bearer",
		New: func() caddy.Module { return new(BearerProvider) },
	}
}

// Provision finds the app whose tokens they are.
func (p *BearerProvider) Provision(ctx caddy.Context) error {
	var err error
	if p.door, err = NewDoor(ctx, p.Demands); err != nil {
		return fmt.Errorf("authentication provider apim_bearer: %w", err)
	}
	return nil
}

// Authenticate says whose token it is: the user's id is the client, and the placeholders are those of apim_bearer.
func (p *BearerProvider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	grant, err := p.door.Enter(r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", asRefusal(err).challenge())
		return caddyauth.User{}, false, err
	}
	SetGrant(r, grant)
	return caddyauth.User{ID: grant.Client}, true, nil
}

// Interface guards.
var (
	_ caddy.Provisioner       = (*BearerProvider)(nil)
	_ caddyauth.Authenticator = (*BearerProvider)(nil)
)
