package caddymodule

import (
	"net/http"
	"net/netip"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/brake"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

// provisionBrake makes what holds refusals back, if anything does.
func (a *App) provisionBrake() {
	if a.RefusalRate >= 0 {
		a.brake = brake.New(brake.Options{Rate: float64(a.RefusalRate), Waiting: a.crowd.Value().find(PoolRefusals).Pool})
	}
}

func (a *App) parseRefusalRate(d *caddyfile.Dispenser) error {
	var text string
	if err := parse.One(&text)(d); err != nil {
		return err
	}
	if text == "off" {
		a.RefusalRate = -1
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("refusal_rate takes the refusals a second that an address is answered at once, such as 50, or off, not %q", text)
	}
	a.RefusalRate = n
	return nil
}

// HoldRefusal is called before a refusal is answered. It waits if its address was refused too often, and has the
// connection closed if it was refused far too often.
func (a *App) HoldRefusal(w http.ResponseWriter, r *http.Request) {
	if a.brake == nil {
		return
	}
	outcome := a.brake.Hold(r.Context(), a.caller(r))
	if outcome == brake.AtOnce {
		return
	}
	a.metrics.Value().Held(string(outcome))
	if outcome == brake.Close {
		w.Header().Set("Connection", "close")
	}
}

// callerAddress is who calls, where the server trusts a proxy by its trusted_proxies, as that proxy says.
func callerAddress(r *http.Request) netip.Addr {
	said, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if address, err := netip.ParseAddr(said); err == nil {
		return address
	}
	connected, _ := netip.ParseAddrPort(r.RemoteAddr) // nobody where it cannot be read
	return connected.Addr()
}
