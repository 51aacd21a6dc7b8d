package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

// parseOpenID reads, among the options of countersign:
//
//	openid <issuer> {
//		client_id  <id>
//		secret     <secret>
//		key        <kid> <pem file>
//		scopes     <scope...>
//		acr        <value...>
//		user_claim <claim>
//	}
func (a *App) parseOpenID(d *caddyfile.Dispenser) error {
	o := &OpenID{}
	if err := parse.One(d, &o.Issuer); err != nil {
		return err
	}
	a.OpenID = append(a.OpenID, o)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := o.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (o *OpenID) parseOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "client_id":
		return parse.One(d, &o.ClientID)
	case "secret":
		return parse.One(d, &o.Secret)
	case "key":
		args := d.RemainingArgs()
		if len(args) != 2 || o.Key != nil {
			return d.Err("key takes a kid and the PEM file of a private key, once: key gateway-1 keys/gateway-1.pem")
		}
		o.Key = &ClientKey{KID: args[0], Path: args[1]}
		return nil
	case "scopes":
		return parse.List(d, &o.Scopes)
	case "acr":
		return parse.List(d, &o.ACR)
	case "user_claim":
		return parse.One(d, &o.UserClaim)
	default:
		return d.Errf("unrecognized option %q of openid", option)
	}
}
