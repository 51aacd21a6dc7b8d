//go:build (linux || darwin) && (amd64 || arm64)

package pkcs11

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

// UnmarshalCaddyfile reads, among the options of smartcard_agent:
//
//	smartcard_agent pkcs11 {
//		module       <path>
//		token        <label or serial number>...
//		pin          terminal
//		pin          pinentry [<program>]
//		pin          file <path> {
//			service_key
//		}
//		pin_timeout  <duration>
//		call_timeout <duration>
//		env          <name>...
//	}
func (a *Agent) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // pkcs11
	return parse.Options{
		"module":       parse.One(&a.Module),
		"token":        parse.List(&a.Tokens),
		"env":          parse.List(&a.Env),
		"pin":          a.parsePIN,
		"pin_timeout":  parse.Duration(&a.PINTimeout),
		"call_timeout": parse.Duration(&a.CallTimeout),
	}.Block(d, "smartcard_agent pkcs11")
}

func (a *Agent) parsePIN(d *caddyfile.Dispenser) error {
	if a.PIN != nil {
		return d.Err("pin is given twice")
	}
	a.PIN = &PIN{}
	return a.PIN.parse(d)
}

func (p *PIN) parse(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	switch p.From = args[0]; {
	case p.From == "terminal" && len(args) == 1:
	case p.From == "pinentry" && len(args) == 1:
	case p.From == "pinentry" && len(args) == 2:
		p.Program = args[1]
	case p.From == "file" && len(args) == 2:
		p.File = args[1]
	case p.From == "terminal" || p.From == "pinentry" || p.From == "file":
		return d.ArgErr()
	default:
		return d.Errf("unknown pin source %q: use terminal, pinentry or file", p.From)
	}
	options := parse.Options{}
	if p.From == "file" {
		options["service_key"] = parse.Flag(&p.ServiceKey)
	}
	return options.Block(d, "pin "+p.From)
}
