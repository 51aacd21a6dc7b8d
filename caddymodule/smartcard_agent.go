package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/credential"
)

func init() {
	caddy.RegisterModule(SmartcardAgent{})
	httpcaddyfile.RegisterHandlerDirective("smartcard_agent", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		a := &SmartcardAgent{}
		return a, a.UnmarshalCaddyfile(h.Dispenser)
	})
}

// SmartcardAgent is a smartcard agent: behind mutual TLS for gateways (AGT-A, way A), or on a person's own machine for
// signing pages (way B). Behind mutual TLS, its site must require client certificates. The agent then restricts them to
// AllowClients, because the same CA may have issued certificates to others.
type SmartcardAgent struct {
	// AllowClients are the subject alternative names of the gateways' client certificates. Mandatory, except with
	// CredentialManagement.
	AllowClients []string `json:"allow_clients,omitempty"`

	// CredentialManagement makes the agent speak the Credential Management protocol to signing pages instead. Its site
	// must listen on loopback, on one of the ports that pages try: 43487, 44213, 45031, 46478 or 48853.
	CredentialManagement *CredentialManagement `json:"credential_management,omitempty"`

	// Users are the users whose cards the agent serves, as patterns such as 5550*. Default: every user.
	Users []string `json:"users,omitempty"`

	// Signer holds the cards. It is a module of the namespace countersign.agents.
	SignerRaw json.RawMessage `json:"signer,omitempty" caddy:"namespace=countersign.agents inline_key=kind"`

	server http.Handler
}

// CaddyModule returns the module's name for Caddy.
func (SmartcardAgent) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.smartcard_agent", New: func() caddy.Module { return new(SmartcardAgent) }}
}

// Provision makes the agent's server.
func (a *SmartcardAgent) Provision(ctx caddy.Context) error {
	if a.SignerRaw == nil {
		return errors.New("smartcard_agent: no signer configured: name a kind, such as smartcard_agent mock")
	}
	loaded, err := ctx.LoadModule(a, "SignerRaw")
	if err != nil {
		return fmt.Errorf("smartcard_agent: %w", err)
	}
	signer, ok := loaded.(smartcard.Signer)
	if !ok {
		return errors.New("smartcard_agent: the signer module is not a smartcard signer")
	}
	if err := CheckUsers("users", a.Users); err != nil {
		return fmt.Errorf("smartcard_agent: %w", err)
	}
	if a.CredentialManagement != nil {
		if len(a.AllowClients) > 0 {
			return errors.New("smartcard_agent: allow_client (for gateways) and credential_management (for pages) exclude each other: use two sites")
		}
		if err := a.CredentialManagement.check(a.Users); err != nil {
			return fmt.Errorf("smartcard_agent: credential_management: %w", err)
		}
		if server := ServerOf(ctx); server != nil && !listensOn(server, credential.Ports) {
			ctx.Slogger().Warn("the site of a smartcard_agent with credential_management listens on none of the ports that pages try", "listen", server.Listen, "ports", credential.Ports)
		}
		if a.server, err = a.CredentialManagement.server(signer, a.Users, ctx.Slogger()); err != nil {
			return fmt.Errorf("smartcard_agent: %w", err)
		}
		return nil
	}
	a.server, err = smartcard.NewServer(smartcard.ServerOptions{
		Signer: signer, AllowClients: a.AllowClients, Users: a.Users, Logger: ctx.Slogger(),
	})
	if err == nil {
		err = checkClientAuth(ServerOf(ctx))
	}
	if err != nil {
		return fmt.Errorf("smartcard_agent: %w", err)
	}
	return nil
}

// ServeHTTP answers the agent's wire.
func (a *SmartcardAgent) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	return intake.Serve(w, r, a.server)
}

// UnmarshalCaddyfile reads:
//
//	smartcard_agent <kind> {
//		allow_client <subject alternative name...>
//		users        <pattern...>
//		credential_management {
//			origin <origin of a signing page...>
//			user   <user id>
//		}
//		<options of the kind>
//	}
func (a *SmartcardAgent) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // smartcard_agent
	var kind string
	if err := parse.One(&kind)(d); err != nil {
		return err
	}
	rest, err := parse.Split(d, kind, parse.Options{
		"allow_client": parse.List(&a.AllowClients),
		"users":        parse.List(&a.Users),
		"credential_management": func(d *caddyfile.Dispenser) error {
			if a.CredentialManagement != nil {
				return d.Err("credential_management is configured twice: remove one")
			}
			a.CredentialManagement = &CredentialManagement{}
			return a.CredentialManagement.parse(d)
		},
	})
	if err != nil {
		return err
	}
	rest.Next()
	signer, err := caddyfile.UnmarshalModule(rest, "countersign.agents."+kind)
	if err != nil {
		return d.Errf("smartcard_agent %s: %v", kind, err)
	}
	a.SignerRaw = caddyconfig.JSONModuleObject(signer, "kind", kind, nil)
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*SmartcardAgent)(nil)
	_ caddyhttp.MiddlewareHandler = (*SmartcardAgent)(nil)
	_ caddyfile.Unmarshaler       = (*SmartcardAgent)(nil)
)
