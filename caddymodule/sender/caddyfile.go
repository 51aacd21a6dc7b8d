package sender

import (
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("apim_sender", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		s := &Sender{}
		return s, s.UnmarshalCaddyfile(h.Dispenser)
	})
}

// UnmarshalCaddyfile reads:
//
//	apim_sender [<matcher>] {
//		environment  sandbox|int|prod
//		token_url    <url>
//		audience     <url>
//		client       <API key>
//		key          <kid> <PEM file>
//		next         <kid> <PEM file> <published, as 2026-11-22T10:00:00Z>
//		provider_by  <placeholder>
//		provider <name> {
//			client <API key>
//			key    <kid> <PEM file>
//			next   <kid> <PEM file> <published>
//		}
//		organisation <JSON>
//		software     <JSON>
//		accept       <media type>
//		replay       <bytes>
//		bars { … }   as of parseBars
//	}
func (s *Sender) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // apim_sender
	if d.NextArg() {
		return d.ArgErr()
	}
	texts := map[string]*string{
		"environment": (*string)(&s.Environment), "token_url": &s.TokenURL, "audience": &s.Audience,
		"provider_by": &s.Provider, "organisation": &s.Organisation, "software": &s.Software, "accept": &s.Accept,
	}
	for d.NextBlock(0) {
		var err error
		option := d.Val()
		switch text := texts[option]; {
		case text != nil:
			err = parse.One(d, text)
		case option == "replay":
			err = parse.Count(d, &s.Replay)
		case option == "bars":
			err = s.parseBars(d)
		case option == "provider":
			err = s.parseProvider(d)
		default:
			err = s.parseOption(d, "apim_sender")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Sender) parseProvider(d *caddyfile.Dispenser) error {
	var name string
	if err := parse.One(d, &name); err != nil {
		return err
	}
	if s.Providers[name] != nil {
		return d.Errf("provider %s is configured twice", name)
	}
	if s.Providers == nil {
		s.Providers = map[string]*Keys{}
	}
	keys := &Keys{}
	s.Providers[name] = keys
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := keys.parseOption(d, "a provider"); err != nil {
			return err
		}
	}
	return nil
}

// parseOption reads what a sender and a provider have in common.
func (k *Keys) parseOption(d *caddyfile.Dispenser, of string) error {
	switch option := d.Val(); option {
	case "client":
		return parse.One(d, &k.Client)
	case "key":
		args := d.RemainingArgs()
		if len(args) != 2 || k.Key != nil {
			return d.Err("key is given once, with a kid and a PEM file: key MySupplier-INT-1 keys/int-1.pem")
		}
		k.Key = &Key{KID: args[0], Path: args[1]}
	case "next":
		args := d.RemainingArgs()
		if len(args) != 3 || k.Next != nil {
			return d.Err("next is given once, with a kid, a PEM file and when its public half was published: next MySupplier-INT-2 keys/int-2.pem 2026-11-22T10:00:00Z")
		}
		published, err := time.Parse(time.RFC3339, args[2])
		if err != nil {
			return d.Errf("%q is not an instant such as 2026-11-22T10:00:00Z", args[2])
		}
		k.Next = &Key{KID: args[0], Path: args[1], Published: published.UTC()}
	default:
		return d.Errf("unrecognized option %q of %s", option, of)
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*Sender)(nil)
