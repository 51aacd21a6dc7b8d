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
	d.Next() // apim_authorize
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "public_url":
			err = parse.One(d, &z.PublicURL)
		case "environment":
			err = parse.One(d, (*string)(&z.Environment))
		case "provider":
			err = parse.One(d, &z.Provider)
		default:
			err = d.Errf("unrecognized option %q of apim_authorize", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*Authorize)(nil)
