package sender

import (
	"maps"
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
	options := parse.Options{
		"environment":  parse.One(&s.Environment),
		"token_url":    parse.One(&s.TokenURL),
		"audience":     parse.One(&s.Audience),
		"provider_by":  parse.One(&s.Provider),
		"provider":     s.parseProvider,
		"organisation": parse.One(&s.Organisation),
		"software":     parse.One(&s.Software),
		"accept":       parse.One(&s.Accept),
		"replay":       parse.Count(&s.Replay),
		"bars":         s.parseBars,
	}
	maps.Copy(options, s.options())
	return options.Directive(d)
}

func (s *Sender) parseProvider(d *caddyfile.Dispenser) error {
	var name string
	if err := parse.One(&name)(d); err != nil {
		return err
	}
	if s.Providers[name] != nil {
		return d.Errf("provider %s is given twice", name)
	}
	if s.Providers == nil {
		s.Providers = map[string]*Keys{}
	}
	keys := &Keys{}
	s.Providers[name] = keys
	return keys.options().Block(d, "a provider")
}

// options returns the options that a sender and a provider share.
func (k *Keys) options() parse.Options {
	return parse.Options{"client": parse.One(&k.Client), "key": k.parseKey, "next": k.parseNext}
}

func (k *Keys) parseKey(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 || k.Key != nil {
		return d.Err("key takes a kid and a PEM file, and is given once: key MySupplier-INT-1 keys/int-1.pem")
	}
	k.Key = &Key{KID: args[0], Path: args[1]}
	return nil
}

func (k *Keys) parseNext(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 3 || k.Next != nil {
		return d.Err("next takes a kid, a PEM file and the time its public key was published, and is given once: next MySupplier-INT-2 keys/int-2.pem 2026-11-22T10:00:00Z")
	}
	published, err := time.Parse(time.RFC3339, args[2])
	if err != nil {
		return d.Errf("%q is not a time such as 2026-11-22T10:00:00Z", args[2])
	}
	k.Next = &Key{KID: args[0], Path: args[1], Published: published.UTC()}
	return nil
}

var _ caddyfile.Unmarshaler = (*Sender)(nil)
