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
	return parse.Options{
		"scope":   alternatives(&b.Scopes),
		"product": alternatives(&b.Products),
		"user":    parse.Flag(&b.User),
		"level":   parse.List(&b.Levels),
		"errors":  parse.One(&b.Errors),
	}.Directive(d)
}

// alternatives reads a line of words, one of which is enough.
func alternatives(into *[][]string) parse.Option {
	return func(d *caddyfile.Dispenser) error {
		var words []string
		if err := parse.List(&words)(d); err != nil {
			return err
		}
		*into = append(*into, words)
		return nil
	}
}

var _ caddyfile.Unmarshaler = (*Bearer)(nil)
