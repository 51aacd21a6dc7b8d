package caddymodule

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// strictTransport sets Strict-Transport-Security (RFC 6797) in production, for a site whose public URL is https. It leaves
// out includeSubDomains, because subdomains may belong to another team. A header set by the operator is kept, and Caddy's
// header directive can remove ours.
func (e Environment) strictTransport(w http.ResponseWriter, publicURL string) {
	const name = "Strict-Transport-Security"
	if e != Production || w.Header().Get(name) != "" {
		return
	}
	base, err := url.Parse(publicURL)
	if err != nil || base.Scheme != "https" || isThisMachine(base.Hostname()) {
		return
	}
	w.Header().Set(name, "max-age=31536000")
}

// isThisMachine reports whether a host can only be this machine. HSTS ignores ports, so the header on localhost would lock
// a developer's browser out of every plain HTTP server there.
func isThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback() || strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost")
}
