package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("apim_authorize", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		z := &Authorize{}
		return z, z.UnmarshalCaddyfile(h.Dispenser)
	})
	// This file comes before apim_token.go, so the directive does, too.
}

// UnmarshalCaddyfile reads:
//
//	apim_authorize {
//		public_url  <url>
//		environment sandbox|int|prod
//		provider    <issuer>
//	}
func (z *Authorize) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return parse.Options{
		"public_url":  parse.One(&z.PublicURL),
		"environment": parse.One(&z.Environment),
		"provider":    parse.One(&z.Provider),
	}.Directive(d)
}

var _ caddyfile.Unmarshaler = (*Authorize)(nil)
