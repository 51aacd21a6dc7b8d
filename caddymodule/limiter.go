package caddymodule

import (
	"net/http"
	"net/netip"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/limiter"
)

// provisionLimiter makes the limiter of refusals, unless refusal_rate is off.
func (a *App) provisionLimiter() {
	if a.RefusalRate >= 0 {
		a.limiter = limiter.New(limiter.Options{Rate: float64(a.RefusalRate), Waiting: a.crowd.Value().find(PoolRefusals).Pool})
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
		return d.Errf("invalid refusal_rate %q: give the refusals per second answered at once to one address, such as 50, or \"off\"", text)
	}
	a.RefusalRate = n
	return nil
}

// HoldRefusal is called before a refusal is answered. It delays the answer to an address that is refused too often, and
// closes the connection when the delay would be too long.
func (a *App) HoldRefusal(w http.ResponseWriter, r *http.Request) {
	if a.limiter == nil {
		return
	}
	outcome := a.limiter.Hold(r.Context(), a.caller(r))
	if outcome == limiter.AtOnce {
		return
	}
	a.metrics.Value().Held(string(outcome))
	if outcome == limiter.Close {
		w.Header().Set("Connection", "close")
	}
}

// callerAddress returns the caller's address. A proxy listed in the server's trusted_proxies is believed.
func callerAddress(r *http.Request) netip.Addr {
	said, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if address, err := netip.ParseAddr(said); err == nil {
		return address
	}
	connected, _ := netip.ParseAddrPort(r.RemoteAddr) // invalid if it cannot be parsed
	return connected.Addr()
}
