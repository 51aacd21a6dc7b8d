package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("apim_bearer", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		b := &Bearer{}
		return b, b.UnmarshalCaddyfile(h.Dispenser)
	})
}

// UnmarshalCaddyfile reads:
//
//	apim_bearer [<matcher>] {
//		scope   <scope...>
//		product <name...>
//		user
//		level   <level...>
//		errors  json|fhir|signing
//	}
//
// One of the words of a line is enough; every line must be fulfilled.
func (b *Bearer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // apim_bearer
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "scope":
			err = alternatives(d, &b.Scopes)
		case "product":
			err = alternatives(d, &b.Products)
		case "user":
			b.User = true
			err = parse.NoMore(d)
		case "level":
			err = parse.List(d, &b.Levels)
		case "errors":
			err = parse.One(d, (*string)(&b.Errors))
		default:
			err = d.Errf("unrecognized option %q of apim_bearer", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// alternatives reads a line of words, one of which is enough.
func alternatives(d *caddyfile.Dispenser, into *[][]string) error {
	var words []string
	if err := parse.List(d, &words); err != nil {
		return err
	}
	*into = append(*into, words)
	return nil
}

var _ caddyfile.Unmarshaler = (*Bearer)(nil)
