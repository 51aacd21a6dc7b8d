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
	networks, err := parseNetworks(a.AllowNetworks)
	if err != nil {
		return nil, err
	}
	options := a.outboundOptions(networks)
	key := fmt.Sprintf("key sets %v %v", options.AllowLocalhost, options.AllowNetworks)
	return a.keySets.Acquire(key, func() (*keySets, error) {
		client := outbound.New(options)
		return &keySets{client: client, cache: jwks.NewCache(client, jwks.CacheOptions{Logger: a.logger})}, nil
	})
}

// outboundOptions are the rules for addresses that come from outside or from the configuration.
func (a *App) outboundOptions(networks []netip.Prefix) outbound.Options {
	return outbound.Options{AllowNetworks: networks, AllowLocalhost: a.Environment != Production}
}

func parseNetworks(texts []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("countersign: allow_networks %q is not a network in CIDR notation, such as 10.20.0.0/16", text)
		}
		networks[i] = network.Masked()
	}
	return networks, nil
}
