package bars

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("bars_proxy", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		b := &Proxy{}
		return b, b.UnmarshalCaddyfile(h.Dispenser)
	})
}

// UnmarshalCaddyfile reads:
//
//	bars_proxy {
//		environment  sandbox|int|prod
//		base         <path>
//		catalogue    <file or url> [<how often it is looked at>]
//		target       <system> <value> <url>
//		resolve      <host> <ip address>
//		strict_names
//		rate         <number>/m
//		rate_overall <number>/s
//		timeout      <duration>
//		reuse_within <duration>
//		max_body     <size>
//		status_key   <key>
//		<sub-directives of Caddy's http transport; outside the sandbox tls_client_auth and tls_trust_pool are mandatory>
//	}
func (b *Proxy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // bars_proxy
	if d.NextArg() {
		return d.ArgErr()
	}
	b.Transport = &reverseproxy.HTTPTransport{}
	transport, err := parse.Split(d, "http", parse.Options{
		"environment":  parse.One(&b.Environment),
		"base":         parse.One(&b.Base),
		"catalogue":    b.parseCatalogue,
		"target":       b.parseTarget,
		"resolve":      b.parseResolve,
		"strict_names": parse.Flag(&b.StrictNames),
		"rate":         parse.PerMinute(&b.Rate),
		"rate_overall": parse.PerSecond(&b.RateOverall),
		"timeout":      parse.Duration(&b.Timeout),
		"reuse_within": parse.Duration(&b.ReuseWithin),
		"max_body":     parse.Size(&b.MaxBody),
		"status_key":   parse.One(&b.StatusKey),
	})
	if err != nil {
		return err
	}
	return b.Transport.UnmarshalCaddyfile(transport)
}

func (b *Proxy) parseCatalogue(d *caddyfile.Dispenser) error {
	if b.Catalogue != "" {
		return d.Err("catalogue is given twice: add single entries with target")
	}
	if !d.NextArg() {
		return d.ArgErr()
	}
	b.Catalogue = d.Val()
	if d.CountRemainingArgs() == 0 {
		return nil
	}
	return parse.Duration(&b.CatalogueEvery)(d)
}

func (b *Proxy) parseTarget(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 3 {
		return d.Err("target takes a system, a value and a URL: target https://fhir.nhs.uk/Id/dos-service-id 2000072489 https://BaRS-INT-X26.MySupplier.thirdparty.nhs.uk")
	}
	b.Targets = append(b.Targets, Target{args[0], args[1], args[2]})
	return nil
}

func (b *Proxy) parseResolve(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("resolve takes a host name and an IP address: resolve BaRS-INT-X26.MySupplier.thirdparty.nhs.uk 10.1.2.3")
	}
	if b.Resolve[args[0]] != "" {
		return d.Errf("resolve %s is given twice", args[0])
	}
	if b.Resolve == nil {
		b.Resolve = map[string]string{}
	}
	b.Resolve[args[0]] = args[1]
	return nil
}

var _ caddyfile.Unmarshaler = (*Proxy)(nil)
