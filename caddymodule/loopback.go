package caddymodule

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// loopback reports whether the request arrived at a loopback address of this machine. It asks the connection, so a wrong
// configuration cannot mislead it.
func loopback(r *http.Request) bool {
	switch local := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		return local.IP.IsLoopback()
	case net.Addr: // for example HTTP/3
		address, err := netip.ParseAddrPort(local.String())
		return err == nil && address.Addr().Unmap().IsLoopback()
	}
	return false
}

// needsPublicURL is the refusal of a service that does not know its own address.
const needsPublicURL = "This service has no public_url, so it answers only on loopback, as localhost, 127.0.0.1 or [::1]"

// loopbackBase returns the base URL of a service without a public URL: the address of the request, if it can only be this
// machine. The host must be a loopback name, so that a foreign name that resolves to loopback is not accepted.
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

// MountedAt returns the path that handle_path, or the like, has taken off a request's; empty: none.
func MountedAt(r *http.Request) string { return mountedAt(r) }

// mountedAt returns the path prefix that was stripped before the request reached the handler.
func mountedAt(r *http.Request) string {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return ""
	}
	mount, _ := strings.CutSuffix(original.URL.Path, r.URL.Path)
	return strings.TrimSuffix(mount, "/")
}
