package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/certificates"
)

// parse reads:
//
//	certificates {
//		trust_pool file <pem file...>
//		trust           mock|<pem file...>
//		intermediates   <pem file...>
//		any_user
//		min_bits        <bits>
//		allow_sha1
//		crl on_failure pass|refuse
//		crl {
//			on_failure  pass|refuse
//			hosts       <host[:port]...>
//			rewrite     <http://host[/path]> <http(s)://relay[/path]>
//			max_size    <size>
//			max_entries <number>
//			refresh     <duration>
//			stale       <duration>
//			timeout     <duration>
//			dir         <path>
//		}
//		ocsp on|off
//	}
func (c *Certificates) parse(d *caddyfile.Dispenser) error {
	return parse.Options{
		"trust":         c.parseTrust,
		"trust_pool":    c.parseTrustPool,
		"intermediates": parse.List(&c.Intermediates),
		"any_user":      parse.Flag(&c.AnyUser),
		"min_bits":      parse.Count(&c.MinBits),
		"allow_sha1":    parse.Flag(&c.AllowSHA1),
		"crl":           c.CRL.parse,
		"ocsp":          c.parseOCSP,
	}.Block(d, "certificates")
}

func (c *Certificates) parseTrustPool(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	if d.Val() != "file" {
		return d.Errf("unknown trust_pool %s: use trust_pool file <pem file...>, or trust mock", d.Val())
	}
	return parse.List(&c.Issuers)(d)
}

func (c *Certificates) parseOCSP(d *caddyfile.Dispenser) error {
	var state string
	if err := parse.One(&state)(d); err != nil {
		return err
	}
	if state != "on" && state != "off" {
		return d.Errf("unknown ocsp value %s: use on or off", state)
	}
	c.NoOCSP = state == "off"
	return nil
}

func (c *Certificates) parseTrust(d *caddyfile.Dispenser) error {
	var args []string
	if err := parse.List(&args)(d); err != nil {
		return err
	}
	for _, arg := range args {
		if arg == "mock" {
			c.TrustMock = true
		} else {
			c.Issuers = append(c.Issuers, arg)
		}
	}
	return nil
}

// parse reads one option on the line of crl, or a block of them.
func (c *CRL) parse(d *caddyfile.Dispenser) error {
	options := parse.Options{
		"on_failure":  parse.One(&c.OnFailure),
		"hosts":       parse.List(&c.Hosts),
		"rewrite":     c.parseRewrite,
		"max_size":    c.parseMaxSize,
		"max_entries": parse.Count(&c.MaxEntries),
		"refresh":     parse.Duration(&c.Refresh),
		"stale":       parse.Duration(&c.Stale),
		"timeout":     parse.Duration(&c.Timeout),
		"dir":         parse.One(&c.Dir),
	}
	if d.CountRemainingArgs() > 0 {
		d.NextArg()
		return options.Read(d, "crl")
	}
	return options.Block(d, "crl")
}

func (c *CRL) parseRewrite(d *caddyfile.Dispenser) error {
	var r certificates.Rewrite
	if !d.AllArgs(&r.From, &r.To) {
		return d.ArgErr()
	}
	c.Rewrites = append(c.Rewrites, r)
	return nil
}

func (c *CRL) parseMaxSize(d *caddyfile.Dispenser) error {
	if err := parse.Size(&c.MaxSize)(d); err != nil {
		return err
	}
	if c.MaxSize > 1<<30 {
		return d.Errf("max_size %s is over the limit of 1GiB", d.Val())
	}
	return nil
}
