package caddymodule

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// loopback says whether the request's connection came to a loopback address of this machine. It asks the
// connection itself, so that no configuration can be mistaken about it.
func loopback(r *http.Request) bool {
	switch local := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		return local.IP.IsLoopback()
	case net.Addr: // HTTP/3's, for one
		address, err := netip.ParseAddrPort(local.String())
		return err == nil && address.Addr().Unmap().IsLoopback()
	}
	return false
}

// needsPublicURL is what a service says that cannot tell its own address.
const needsPublicURL = "This service has no public_url, so it answers on loopback alone, as localhost, 127.0.0.1 or [::1]"

// loopbackBase is the base URL of a service that has no public URL: what the request came to, if that can only be
// this machine. The host is held to loopback names, so that another site's name that resolves here is not taken.
func loopbackBase(r *http.Request) (base string, ok bool) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	local := err == nil && address.Unmap().IsLoopback()
	if !loopback(r) || (!local && !strings.EqualFold(host, "localhost")) {
		return "", false
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + mountedAt(r), true
}

// mountedAt is the path that was taken off the request's before it came to the handler.
func mountedAt(r *http.Request) string {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return ""
	}
	mount, _ := strings.CutSuffix(original.URL.Path, r.URL.Path)
	return strings.TrimSuffix(mount, "/")
}
