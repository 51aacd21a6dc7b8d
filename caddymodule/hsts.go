package caddymodule

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// strictTransport has browsers keep to https for this host (RFC 6797) in production, for a site whose public URL is
// https. Subdomains are left out: they may be another team's. A header that the operator has set stands, and Caddy's
// header directive can take ours away.
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

// isThisMachine says whether a host can only be this machine. All ports of localhost are one host to a browser, so the
// header would keep it from every plain server of a developer's.
func isThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback() || strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost")
}
