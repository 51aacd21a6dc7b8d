package bars

import (
	"fmt"
	"net/netip"
)

// Egress returns the addresses from which the environment's public proxy calls receivers (BAR-3.4).
func Egress(environment Environment) []netip.Prefix {
	addresses := map[Environment][]string{
		Integration: {"35.197.254.55", "35.246.55.143"},
		Production:  {"34.89.0.111", "34.89.69.6"},
	}[environment]
	var prefixes []netip.Prefix
	for _, address := range addresses {
		addr := netip.MustParseAddr(address)
		prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return prefixes
}

// CheckEgress refuses allowed networks that admit the other environment's proxy.
func CheckEgress(environment Environment, allowed []netip.Prefix) error {
	for _, prefix := range allowed {
		for _, other := range Egress(environment.Other()) {
			if prefix.Contains(other.Addr()) {
				return fmt.Errorf("%s admits %s, an address of the %s environment's proxy, but this environment is %s: environments are never mixed",
					prefix, other.Addr(), environment.Other(), environment)
			}
		}
	}
	return nil
}

// ParseEgress parses an address or a network.
func ParseEgress(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address or a network such as 192.0.2.0/24", text)
	}
	return prefix.Masked(), nil
}
