package mock

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/mockopenid"
)

func init() {
	caddy.RegisterModule(OpenID{})
	httpcaddyfile.RegisterHandlerDirective("openid_mock", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		o := &OpenID{}
		return o, o.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("openid_mock", httpcaddyfile.Before, "reverse_proxy")
}

// OpenID stands in for an OpenID provider at the path it is mounted at. Its people are made up, and anybody may sign
// in as any of them. Refused in production.
type OpenID struct {
	// PublicURL is its URL for browsers and the gateway: the issuer. Mandatory.
	PublicURL string `json:"public_url,omitempty"`
	// People are the people who can sign in.
	People []mockopenid.Person `json:"people,omitempty"`
	// Clients are the clients that may send people here to sign in.
	Clients []mockopenid.Client `json:"clients,omitempty"`

	provider *mockopenid.Provider
	mount    *caddymodule.Mount
}

// CaddyModule returns the module's information for Caddy.
func (OpenID) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.openid_mock", New: func() caddy.Module { return new(OpenID) }}
}

// Provision makes the mock. Its key is read or made at the first use.
func (o *OpenID) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err != nil {
		return fmt.Errorf("openid_mock: %w", err)
	}
	if err := outsideProduction(app, "openid_mock"); err != nil {
		return err
	}
	issuer := strings.TrimSuffix(o.PublicURL, "/")
	if issuer == "" {
		return fmt.Errorf("openid_mock: no public_url: add the issuer's URL, as in openid of the global option countersign")
	}
	o.mount = caddymodule.NewMount("openid_mock", issuer, ctx.Slogger())
	if err := app.ClaimURL(ctx, "openid_mock", issuer, o); err != nil {
		return fmt.Errorf("openid_mock: %w", err)
	}
	o.provider, err = mockopenid.New(mockopenid.Options{
		BaseURL: func(*http.Request) (string, error) { return issuer, nil },
		People:  o.People, Clients: o.Clients, Vault: app.Vault(), Logger: ctx.Slogger(),
	})
	if err != nil {
		return fmt.Errorf("openid_mock %s: %w", issuer, err)
	}
	return nil
}

// ServeHTTP answers every path under the mock's.
func (o *OpenID) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	o.mount.Look(r)
	return intake.Serve(w, r, o.provider)
}

// UnmarshalCaddyfile reads:
//
//	openid_mock {
//		public_url <url>
//		person     <user id> <name> <level>
//		client <id> {
//			secret       <secret>
//			redirect_uri <url...>
//			logout_uri   <url>
//		}
//	}
func (o *OpenID) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return parse.Options{"public_url": parse.One(&o.PublicURL), "person": o.parsePerson, "client": o.parseClient}.Directive(d)
}

func (o *OpenID) parsePerson(d *caddyfile.Dispenser) error {
	var person mockopenid.Person
	var level string
	if !d.AllArgs(&person.ID, &person.Name, &level) {
		return d.Err(`person takes a user id, a name and a level from 1 to 3: person 555086689106 "Alice Made-Up" 3`)
	}
	person.Level, _ = strconv.Atoi(level) // not a number: 0, which New refuses
	o.People = append(o.People, person)
	return nil
}

func (o *OpenID) parseClient(d *caddyfile.Dispenser) error {
	var client mockopenid.Client
	if err := parse.One(&client.ID)(d); err != nil {
		return err
	}
	err := parse.Options{
		"secret":       parse.One(&client.Secret),
		"redirect_uri": parse.List(&client.RedirectURIs),
		"logout_uri":   parse.One(&client.LogoutURI),
	}.Block(d, "client of openid_mock")
	o.Clients = append(o.Clients, client)
	return err
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*OpenID)(nil)
	_ caddyhttp.MiddlewareHandler = (*OpenID)(nil)
	_ caddyfile.Unmarshaler       = (*OpenID)(nil)
)
