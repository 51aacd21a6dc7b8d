package share

import "net/netip"

// Caller is on whose behalf something is held.
type Caller struct {
	// Address is where the request comes from, as far as it can be trusted. Callers whose address is not known share
	// one.
	Address netip.Addr
	// Proven says that the caller has no share: who it is was proven before, or the operator trusts its address.
	Proven bool
}

// Network is what counts as one address: an IPv4 address, or the /64 of an IPv6 address, for whoever has one address of
// it has all. It is the zero Prefix where the address is not known.
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
