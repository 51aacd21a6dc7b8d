package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

// parseOpenID reads, among the options of countersign:
//
//	openid <issuer> {
//		name       <name>
//		client_id  <id>
//		secret     <secret>
//		key        <kid> <pem file>
//		scopes     <scope...>
//		acr        <value...>
//		user_claim <claim>
//	}
func (a *App) parseOpenID(d *caddyfile.Dispenser) error {
	o := &OpenID{}
	if err := parse.One(&o.Issuer)(d); err != nil {
		return err
	}
	a.OpenID = append(a.OpenID, o)
	return parse.Options{
		"name":       parse.One(&o.Name),
		"client_id":  parse.One(&o.ClientID),
		"secret":     parse.One(&o.Secret),
		"key":        o.parseKey,
		"scopes":     parse.List(&o.Scopes),
		"acr":        parse.List(&o.ACR),
		"user_claim": parse.One(&o.UserClaim),
	}.Block(d, "openid")
}

func (o *OpenID) parseKey(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 || o.Key != nil {
		return d.Err("key takes a kid and the PEM file of a private key, once, such as: key gateway-1 keys/gateway-1.pem")
	}
	o.Key = &ClientKey{KID: args[0], Path: args[1]}
	return nil
}
