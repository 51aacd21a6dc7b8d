package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/limiter"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
)

// The names of the pools. Each group of callers has its own, so that one group cannot starve another.
const (
	PoolForms    = "forms"    // token requests and logout tokens, by bytes reserved
	PoolRequests = "requests" // signing requests, by bytes received
	PoolWorking  = "working"  // signing requests that are being processed, by number
	PoolCalls    = "calls"    // requests of the signing page, by bytes received
	PoolBars     = "bars"     // messages to the BaRS proxy's sandbox, by bytes received
	PoolSender   = "sender"   // requests of applications to apim_sender, by bytes received
	PoolSignIns  = "sign_ins" // callbacks from an OpenID provider, by number
	PoolRefusals = "refusals" // answers that the limiter delays
)

// maxHeldSender bounds the request bytes that apim_sender keeps at one time for resending.
const maxHeldSender = 256 << 20

// pools holds the pools of the process. All sites share them, and they outlive a reload, so requests of an earlier
// configuration still count.
type pools struct{ all []*poolOf }

type poolOf struct {
	*share.Pool
	part int64 // the minimum for a caller; zero: the first read buffer of a body
}

func newPools() *pools {
	of := func(name string, size, part int64) *poolOf { return &poolOf{share.New(name, size), part} }
	return &pools{[]*poolOf{
		of(PoolForms, oauth.MaxForms*oauth.MaxBody, oauth.MaxBody),
		of(PoolRequests, signing.MaxHeld, 0),
		of(PoolWorking, signing.MaxWorking, 1),
		of(PoolCalls, signing.MaxHeldCalls, 0),
		of(PoolBars, bars.MaxHeld, 0),
		of(PoolSender, maxHeldSender, 0),
		of(PoolSignIns, oauth.MaxSignIns, 1),
		of(PoolRefusals, limiter.Waiting, 1),
	}}
}

// Destruct ends with the process.
func (*pools) Destruct() error { return nil }

func (p *pools) find(name string) *poolOf {
	for _, pool := range p.all {
		if pool.Use().Name == name {
			return pool
		}
	}
	panic("there is no pool " + name) // a programming error that every configuration would hit
}

// provisionPools finds the process's pools and parses trusted_callers.
func (a *App) provisionPools() error {
	for _, text := range a.TrustedCallers {
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return fmt.Errorf("countersign: trusted_callers %q is not a network in CIDR notation, such as 10.20.0.0/16", text)
		case network.Bits() == 0:
			return fmt.Errorf("countersign: trusted_callers %s trusts every address, so strangers could use up all pools: list the networks of your own callers", text)
		}
		a.trusted = append(a.trusted, network.Masked())
	}
	_, err := a.crowd.Acquire("pools", func() (*pools, error) { return newPools(), nil })
	return err
}

// Group returns the group of callers that share a pool of the process.
func (a *App) Group(name string) *intake.Group {
	pool := a.crowd.Value().find(name)
	return &intake.Group{Pool: pool.Pool, Caller: a.caller, Part: pool.part}
}

// caller returns the caller of a request for the pools. A client certificate that the site has verified makes it proven.
func (a *App) caller(r *http.Request) share.Caller {
	address := callerAddress(r)
	proven := r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	for _, network := range a.trusted {
		proven = proven || network.Contains(address.Unmap().WithZone(""))
	}
	return share.Caller{Address: address, Proven: proven}
}

// poolUse returns a snapshot of each pool.
func (a *App) poolUse() []share.Use {
	var all []share.Use
	for _, pool := range a.crowd.Value().all {
		all = append(all, pool.Use())
	}
	return all
}
