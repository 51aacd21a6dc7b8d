package caddymodule

import (
	"fmt"
	"net/netip"
	"net/url"

	"github.com/seed-dd2befc3/countersign/outbound"
)

// checkAddress checks an address that all sites share and browsers are sent to. It must be valid and strong enough for
// every site.
func (a *App) checkAddress(what, address string) error {
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "http" {
		if err := a.Forbid(plainHTTP(what, address)); err != nil {
			return err
		}
	}
	return a.Environment.CheckAddress(what, address)
}

// checkReach is checkAddress for an address that the gateway itself connects to. It also applies the rules for outbound
// requests, as far as they can be checked without a DNS lookup.
func (a *App) checkReach(what, address string) error {
	if err := a.checkAddress(what, address); err != nil {
		return err
	}
	u, err := url.Parse(address)
	if err != nil { // checkAddress has already refused it
		return err
	}
	rules, err := a.Outbound(a.Environment)
	if err != nil {
		return err
	}
	if err := rules.CheckURL(u); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	strict, err := a.Outbound(Production)
	if err != nil {
		return err
	}
	if u.Scheme == "https" && (isThisMachine(u.Hostname()) && !allowsLoopback(strict) || strict.CheckURL(u) != nil) {
		return a.Forbid(Risk{RuleLocalAddress, fmt.Sprintf("%s %q", what, address)})
	}
	return nil
}

func allowsLoopback(rules outbound.Options) bool {
	for _, network := range rules.AllowNetworks {
		if network.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || network.Contains(netip.IPv6Loopback()) {
			return true
		}
	}
	return false
}

// judgeNetworks applies the production rules to allow_networks and refuses duplicates.
func (a *App) judgeNetworks() error {
	rules, err := a.Outbound(a.Environment)
	if err != nil {
		return err
	}
	for i, network := range rules.AllowNetworks {
		text := a.AllowNetworks[i]
		for j, other := range rules.AllowNetworks[:i] {
			if network == other {
				return fmt.Errorf("allow_networks %s is a duplicate of %s: remove one of them", text, a.AllowNetworks[j])
			}
		}
		if wide(network) {
			if err := a.Forbid(Risk{RuleNetworks, "allow_networks " + text}); err != nil {
				return err
			}
		}
	}
	return nil
}

// wide reports whether a network is more than a private network: loopback, link-local, multicast, or a large part of all
// addresses. The largest private networks are 10.0.0.0/8 and fc00::/7.
func wide(network netip.Prefix) bool {
	if network.Addr().Is4() && network.Bits() < 8 || network.Addr().Is6() && network.Bits() < 7 {
		return true
	}
	for _, never := range []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0/96"),
		netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
	} {
		if network.Overlaps(never) {
			return true
		}
	}
	return false
}
