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
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := a.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) parseOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "module":
		if a.Module != "" {
			return d.Err("module is given twice")
		}
		if !d.AllArgs(&a.Module) {
			return d.ArgErr()
		}
		return nil
	case "token":
		return parse.List(d, &a.Tokens)
	case "env":
		return parse.List(d, &a.Env)
	case "pin":
		if a.PIN != nil {
			return d.Err("pin is given twice")
		}
		a.PIN = &PIN{}
		return a.PIN.parse(d)
	case "pin_timeout":
		return parse.Duration(d, &a.PINTimeout)
	case "call_timeout":
		return parse.Duration(d, &a.CallTimeout)
	default:
		return d.Errf("unrecognized option %q of smartcard_agent pkcs11", option)
	}
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
		return d.Errf("pin %q is not known; use terminal, pinentry or file", p.From)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if option := d.Val(); p.From != "file" || option != "service_key" || d.NextArg() {
			return d.Errf("unrecognized option %q of pin %s", option, p.From)
		}
		p.ServiceKey = true
	}
	return nil
}
