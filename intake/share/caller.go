package share

import "net/netip"

// Caller is the caller for whom a part is held.
type Caller struct {
	// Address is the address of the caller, as far as it can be trusted. Callers with an unknown address share one
	// share.
	Address netip.Addr
	// Proven callers have no share. They have authenticated, or the operator trusts their address.
	Proven bool
}

// Network returns what counts as one address: an IPv4 address, or the /64 of an IPv6 address, because a host usually
// controls its whole /64. It is the zero Prefix if the address is unknown.
func Network(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
