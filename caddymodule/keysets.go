package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// keySets is the cache of clients' key sets, and the client that fetches them.
type keySets struct {
	client *http.Client
	cache  *jwks.Cache
}

// Destruct ends fetches that are under way.
func (k *keySets) Destruct() error {
	k.cache.Close()
	k.client.CloseIdleConnections()
	return nil
}

// acquireKeySets finds the cache of the configurations that fetch under the same rules, or makes one. That is no
// I/O, so it happens in Provision.
func (a *App) acquireKeySets() (*keySets, error) {
	options, err := a.Outbound(a.Environment)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("key sets %v %v", options.AllowLocalhost, options.AllowNetworks)
	return a.keySets.Acquire(key, func() (*keySets, error) {
		client := outbound.New(options)
		return &keySets{client: client, cache: jwks.NewCache(client, jwks.CacheOptions{Logger: a.logger})}, nil
	})
}

// Outbound are the rules for the addresses that a site of the environment is told, from outside or by the configuration:
// allow_networks, and outside production this machine itself.
func (a *App) Outbound(e Environment) (outbound.Options, error) {
	networks := make([]netip.Prefix, len(a.AllowNetworks))
	for i, text := range a.AllowNetworks {
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return outbound.Options{}, fmt.Errorf("countersign: allow_networks %q is not a network in CIDR notation, such as 10.20.0.0/16", text)
		case network.Addr().Is4In6():
			return outbound.Options{}, fmt.Errorf("countersign: allow_networks %q would match no address; write the IPv4 network itself", text)
		case network != network.Masked():
			return outbound.Options{}, fmt.Errorf("countersign: allow_networks %q is no network: its address goes on behind the /%d; write %s, or %s for that address alone",
				text, network.Bits(), network.Masked(), netip.PrefixFrom(network.Addr(), network.Addr().BitLen()))
		}
		networks[i] = network
	}
	return outbound.Options{AllowNetworks: networks, AllowLocalhost: e != Production}, nil
}
