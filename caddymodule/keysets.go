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

// Destruct ends running fetches.
func (k *keySets) Destruct() error {
	k.cache.Close()
	k.client.CloseIdleConnections()
	return nil
}

// acquireKeySets returns the cache shared by the configurations with the same outbound rules, or makes one. It does no
// I/O, so it runs in Provision.
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

// Outbound returns the rules for outbound requests of a site in the environment: allow_networks and, outside production,
// this machine itself.
func (a *App) Outbound(e Environment) (outbound.Options, error) {
	networks := make([]netip.Prefix, len(a.AllowNetworks))
	for i, text := range a.AllowNetworks {
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return outbound.Options{}, fmt.Errorf("countersign: allow_networks %q is not a network in CIDR notation, such as 10.20.0.0/16", text)
		case network.Addr().Is4In6():
			return outbound.Options{}, fmt.Errorf("countersign: allow_networks %q matches no address: give the IPv4 network itself", text)
		case network != network.Masked():
			return outbound.Options{}, fmt.Errorf("countersign: allow_networks %q has host bits set after /%d: use %s for the network, or %s for that address alone",
				text, network.Bits(), network.Masked(), netip.PrefixFrom(network.Addr(), network.Addr().BitLen()))
		}
		networks[i] = network
	}
	return outbound.Options{AllowNetworks: networks, AllowLocalhost: e != Production}, nil
}
