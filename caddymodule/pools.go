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

// The groups of callers that have a pool each, so that none takes anything from another.
const (
	PoolForms    = "forms"    // token requests and logout tokens, by bytes set aside
	PoolRequests = "requests" // signing requests, by bytes that have arrived
	PoolWorking  = "working"  // signing requests that have arrived whole
	PoolCalls    = "calls"    // of the signing page, by bytes that have arrived
	PoolBars     = "bars"     // messages to the BaRS proxy's sandbox, by bytes that have arrived
	PoolSender   = "sender"   // requests of applications to apim_sender, by bytes that have arrived
	PoolSignIns  = "sign_ins" // people who come back from their OpenID provider
	PoolRefusals = "refusals" // answers that the limiter delays
)

// maxHeldSender are the bytes of requests that apim_sender keeps at one time, so that it can send them once more.
const maxHeldSender = 256 << 20

// pools are those of the process, which all sites share and which outlive a reload: what an earlier configuration still
// works on counts.
type pools struct{ all []*poolOf }

type poolOf struct {
	*share.Pool
	part int64 // of a caller, at least; zero: the memory that a body begins with
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
	panic("there is no pool " + name) // a defect, found by every configuration
}

// provisionPools finds the process's pools, and reads whose callers have no share of them.
func (a *App) provisionPools() error {
	for _, text := range a.TrustedCallers {
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return fmt.Errorf("countersign: trusted_callers %q is not a network in CIDR notation, such as 10.20.0.0/16", text)
		case network.Bits() == 0:
			return fmt.Errorf("countersign: trusted_callers %s trusts everybody, so that strangers could take all there is; name the networks of your own callers", text)
		}
		a.trusted = append(a.trusted, network.Masked())
	}
	_, err := a.crowd.Acquire("pools", func() (*pools, error) { return newPools(), nil })
	return err
}

// Group is the callers who share a pool of the process.
func (a *App) Group(name string) *intake.Group {
	pool := a.crowd.Value().find(name)
	return &intake.Group{Pool: pool.Pool, Caller: a.caller, Part: pool.part}
}

// caller is who calls, to the pools. Whoever has come by mutual TLS, against what the site trusts, is proven.
func (a *App) caller(r *http.Request) share.Caller {
	address := callerAddress(r)
	proven := r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	for _, network := range a.trusted {
		proven = proven || network.Contains(address.Unmap().WithZone(""))
	}
	return share.Caller{Address: address, Proven: proven}
}

// poolUse is how the pools stand.
func (a *App) poolUse() []share.Use {
	var all []share.Use
	for _, pool := range a.crowd.Value().all {
		all = append(all, pool.Use())
	}
	return all
}
