package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// dialer resolves a host, drops the addresses that may not be dialled, and dials the others in turn.
type dialer struct {
	options Options
}

func (d *dialer) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("dialling %q: %w", hostport, err)
	}
	host = normalHost(host)
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(d.options.Timeout)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		deadline = earlier
	}
	var failures []error
	for i, addr := range addrs {
		// Each address gets a share of the remaining time, so that an unresponsive one leaves time for the others.
		base := net.Dialer{Timeout: time.Until(deadline) / time.Duration(len(addrs)-i)}
		if base.Timeout <= 0 {
			break
		}
		conn, err := base.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, fmt.Errorf("connecting to %s: %w", host, errors.Join(append(failures, ctx.Err())...))
}

// resolve returns the addresses of a host that may be dialled, at least one.
func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, d.options.checkAddr(host, addr)
	}
	found, err := d.options.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", host, err)
	}
	var allowed []netip.Addr
	refused := fmt.Errorf("looking up %s: no address found", host)
	for i, addr := range found {
		if err := d.options.checkAddr(host, addr); err == nil {
			allowed = append(allowed, addr.Unmap())
		} else if i == 0 {
			refused = err
		}
	}
	if len(allowed) == 0 {
		return nil, refused
	}
	return allowed, nil
}

// checkAddr returns an error if host may not be reached at addr.
func (o Options) checkAddr(host string, addr netip.Addr) error {
	plain := addr.Unmap().WithZone("")
	if o.AllowLocalhost && isLocal(host) {
		if plain.IsLoopback() {
			return nil
		}
		return refuse("%s resolves to %s, which is not a loopback address", host, addr)
	}
	for _, network := range o.AllowNetworks {
		if network.Contains(plain) {
			return nil
		}
	}
	kind := kindOf(plain)
	if kind == "" {
		return nil
	}
	says := host + " resolves to " + addr.String() + ","
	if _, err := netip.ParseAddr(host); err == nil {
		says = host + " is"
	}
	return refuse("%s %s address: add its network to allow_networks if this is intended", says, kind)
}

// special lists the networks outside of the public internet for which netip has no predicate.
var special = []struct {
	network netip.Prefix
	kind    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a carrier-grade NAT"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "a documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a reserved"},
	{netip.MustParsePrefix("198.18.0.0/15"), "a benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), "a documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "a documentation"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved"},
	{netip.MustParsePrefix("::/96"), "an IPv4-compatible"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "an IPv4-translated"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a local-use NAT64"},
	{netip.MustParsePrefix("100::/64"), "a discard"},
	{netip.MustParsePrefix("2001::/23"), "a reserved"}, // Teredo and other protocol assignments
	{netip.MustParsePrefix("2001:db8::/32"), "a documentation"},
	{netip.MustParsePrefix("2002::/16"), "a 6to4"},
	{netip.MustParsePrefix("3fff::/20"), "a documentation"},
	{netip.MustParsePrefix("5f00::/16"), "a reserved"},
	{netip.MustParsePrefix("fec0::/10"), "a site-local"},
}

// global is the part of IPv6 that is assigned for the public internet (RFC 4291 §2.4, IANA).
var global = netip.MustParsePrefix("2000::/3")

// nat64 is the prefix under which a translator reaches IPv4 addresses (RFC 6052); the IPv4 address decides.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// kindOf returns the kind of a non-public address with its article, or "" for a public one. The registries are those of
// RFC 6890.
func kindOf(addr netip.Addr) string {
	if nat64.Contains(addr) {
		bytes := addr.As16()
		return kindOf(netip.AddrFrom4([4]byte(bytes[12:])))
	}
	switch {
	case addr.IsUnspecified():
		return "an unspecified"
	case addr.IsLoopback():
		return "a loopback"
	case addr.IsPrivate():
		return "a private"
	case addr.IsLinkLocalUnicast():
		return "a link-local"
	case addr.IsMulticast():
		return "a multicast"
	}
	for _, s := range special {
		if s.network.Contains(addr) {
			return s.kind
		}
	}
	switch {
	case addr.Is6() && !global.Contains(addr):
		return "a reserved"
	case isISATAP(addr):
		return "an ISATAP"
	}
	return ""
}

// isISATAP reports whether an address, of any prefix, tunnels to an IPv4 address (RFC 5214 §6.1).
func isISATAP(addr netip.Addr) bool {
	bytes := addr.As16()
	return bytes[8]&^2 == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe
}
