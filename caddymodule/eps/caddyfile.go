package eps

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

const (
	standIns   = "countersign.eps" // the namespace
	standInKey = "stand_in"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("eps", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		e := &EPS{}
		return e, e.UnmarshalCaddyfile(h.Dispenser)
	})
}

// UnmarshalCaddyfile reads:
//
//	eps [<matcher>] {
//		client <id or placeholder>
//		stand_in {
//			certificates {
//				<as of signing_service>
//			}
//		}
//	}
func (e *EPS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return parse.Options{"client": parse.One(&e.Client), standInKey: e.parseStandIn}.Directive(d)
}

func (e *EPS) parseStandIn(d *caddyfile.Dispenser) error {
	if e.StandInRaw != nil {
		return d.Err("stand_in is given twice")
	}
	if _, err := caddy.GetModule(standIns + "." + standInKey); err != nil {
		return d.Err("stand_in is not in this build; it is for tests: build with --with github.com/seed-dd2befc3/countersign/caddymodule/mock")
	}
	module, err := caddyfile.UnmarshalModule(d, standIns+"."+standInKey)
	if err != nil {
		return err
	}
	e.StandInRaw = caddyconfig.JSONModuleObject(module, "kind", standInKey, nil)
	return nil
}

var _ caddyfile.Unmarshaler = (*EPS)(nil)
