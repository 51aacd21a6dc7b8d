package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
)

// Product is something that clients may use.
type Product struct {
	// Scopes are what the tokens of its clients carry. Those of applications begin with
	// urn:nhsd:apim:app:level3:.
	Scopes []string `json:"scopes,omitempty"`

	// Rate is how many tokens each client may get in a minute. Default: no limit.
	Rate int `json:"rate,omitempty"`
}

// scopeSigning is what the Signing Service asks of an application.
const scopeSigning = oauth.ScopePrefix + "signing-service"

// isSigningScope says whether a scope is one of the Signing Service's: the application's, or a user's of some level.
func isSigningScope(scope string) bool {
	_, allows := oauth.UserScope(scope)
	return scope == scopeSigning || allows == "signing-service"
}

// checkProducts says what is wrong with the products and with what clients say of them.
func (a *App) checkProducts() error {
	for name, product := range a.Products {
		if err := product.check(); err != nil {
			return fmt.Errorf("product %s: %w", name, err)
		}
	}
	for id, client := range a.Clients {
		for i, name := range client.Products {
			switch {
			case a.Products[name] == nil:
				return fmt.Errorf("client %s: product %s is not configured; add product %s { scopes … } to countersign, or take it out of the client's products",
					id, name, name)
			case slices.Contains(client.Products[:i], name):
				return fmt.Errorf("client %s: product %s is listed twice", id, name)
			}
		}
		if client.Rate < 0 {
			return fmt.Errorf("client %s: rate %d is not a number of tokens a minute; write rate 300/m, or leave it out", id, client.Rate)
		}
	}
	return nil
}

func (p *Product) check() error {
	switch {
	case p == nil || len(p.Scopes) == 0:
		return errors.New("has no scopes, so it would give its clients nothing; add scopes, such as " + scopeSigning)
	case p.Rate < 0:
		return fmt.Errorf("rate %d is not a number of tokens a minute; write rate 300/m, or leave it out", p.Rate)
	}
	for _, scope := range p.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n\"\\") {
			return fmt.Errorf("scope %q is not one word (RFC 6749 §3.3)", scope)
		}
	}
	return nil
}

// forTokens is a client as the token service knows it. Its own rate goes before its products', of which the
// largest counts: who may use more gets no fewer tokens.
func (a *App) forTokens(client *Client) (oauth.Client, error) {
	secret, err := secretOf(client.Secret)
	if err != nil {
		return oauth.Client{}, fmt.Errorf("secret: %w", err)
	}
	holder := oauth.Client{
		Products: client.Products, Rate: client.Rate,
		Secret: secret, RedirectURIs: client.RedirectURIs, Audiences: client.Audiences,
	}
	for _, name := range client.Products {
		product := a.Products[name]
		for _, scope := range product.Scopes {
			if !slices.Contains(holder.Scopes, scope) {
				holder.Scopes = append(holder.Scopes, scope)
			}
		}
		if client.Rate == 0 {
			holder.Rate = max(holder.Rate, product.Rate)
		}
	}
	return holder, nil
}

// isRevoked says whether a client is configured and no longer approved.
func (a *App) isRevoked(id string) bool {
	client := a.Clients[id]
	return client != nil && client.Status == statusRevoked
}

// signingClients are the clients that a Signing Service may meet: not those of other products alone.
func (a *App) signingClients() map[string]signing.Client {
	clients := make(map[string]signing.Client, len(a.approved))
	for id, client := range a.approved {
		holder := a.holders[id]
		if len(holder.Products) == 0 || client.Callback != "" || slices.ContainsFunc(holder.Scopes, isSigningScope) {
			clients[id] = client
		}
	}
	return clients
}

// checker finds what tokens of this installation stand for. Those of a client that is no longer approved stand
// for nothing.
func (a *App) checker() *oauth.Checker {
	checker := oauth.NewChecker(a.Store(), a.now)
	checker.Approved = func(client string) bool {
		_, approved := a.approved[client]
		return approved
	}
	return checker
}

// TokenURL is where this gateway's clients get their tokens: the public token URL of its first apim_token. It is
// empty where there is none, or none with a public URL, and before all handlers are provisioned.
func (a *App) TokenURL() string { return a.tokenURL }

func (a *App) parseProduct(d *caddyfile.Dispenser) error {
	var name string
	if err := parse.One(&name)(d); err != nil {
		return err
	}
	if a.Products[name] != nil {
		return d.Errf("product %s is configured twice", name)
	}
	if a.Products == nil {
		a.Products = map[string]*Product{}
	}
	product := &Product{}
	a.Products[name] = product
	return parse.Options{"scopes": parse.List(&product.Scopes), "rate": parse.PerMinute(&product.Rate)}.Block(d, "a product")
}
