package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

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
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := c.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Certificates) parseOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "trust":
		return c.parseTrust(d)
	case "trust_pool":
		if !d.NextArg() {
			return d.ArgErr()
		}
		if d.Val() != "file" {
			return d.Errf("trust_pool %s is not known here; write trust_pool file <pem file...>, or trust mock", d.Val())
		}
		return parse.List(d, &c.Issuers)
	case "intermediates":
		return parse.List(d, &c.Intermediates)
	case "any_user":
		c.AnyUser = true
		return parse.NoMore(d)
	case "min_bits":
		return parse.Count(d, &c.MinBits)
	case "allow_sha1":
		c.AllowSHA1 = true
		return parse.NoMore(d)
	case "crl":
		return c.CRL.parse(d)
	case "ocsp":
		var state string
		if err := parse.One(d, &state); err != nil {
			return err
		}
		if state != "on" && state != "off" {
			return d.Errf("ocsp %s is not known; write on or off", state)
		}
		c.NoOCSP = state == "off"
		return nil
	default:
		return d.Errf("unrecognized option %q of certificates", option)
	}
}

func (c *Certificates) parseTrust(d *caddyfile.Dispenser) error {
	var args []string
	if err := parse.List(d, &args); err != nil {
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
	if d.NextArg() {
		return c.parseOption(d)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := c.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *CRL) parseOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "on_failure":
		return parse.One(d, &c.OnFailure)
	case "hosts":
		return parse.List(d, &c.Hosts)
	case "rewrite":
		var r certificates.Rewrite
		if !d.AllArgs(&r.From, &r.To) {
			return d.ArgErr()
		}
		c.Rewrites = append(c.Rewrites, r)
		return nil
	case "max_size":
		var text string
		if err := parse.One(d, &text); err != nil {
			return err
		}
		size, err := humanize.ParseBytes(text)
		if err != nil || size == 0 || size > 1<<30 {
			return d.Errf("max_size %q is not a size such as 32MiB, of at most 1GiB", text)
		}
		c.MaxSize = int64(size) //nolint:gosec // at most 1 GiB
		return nil
	case "max_entries":
		return parse.Count(d, &c.MaxEntries)
	case "refresh":
		return parse.Duration(d, &c.Refresh)
	case "stale":
		return parse.Duration(d, &c.Stale)
	case "timeout":
		return parse.Duration(d, &c.Timeout)
	case "dir":
		return parse.One(d, &c.Dir)
	default:
		return d.Errf("unrecognized option %q of crl", option)
	}
}
