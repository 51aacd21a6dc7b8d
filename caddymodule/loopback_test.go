package caddymodule

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Loopback is what the connection's own end says, over TCP as over anything else.
func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "::ffff:127.0.0.1": true,
		"192.0.2.1": false, "0.0.0.0": false, "::": false, "::ffff:192.0.2.1": false, "2001:db8::1": false,
	} {
		ip := net.ParseIP(address)
		for _, local := range []net.Addr{&net.TCPAddr{IP: ip, Port: 80}, &net.UDPAddr{IP: ip, Port: 443}} {
			r := httptest.NewRequest(http.MethodGet, "http://localhost/", http.NoBody)
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			if got := loopback(r); got != want {
				t.Errorf("%s %s: %v", local.Network(), address, got)
			}
		}
	}
	if loopback(httptest.NewRequest(http.MethodGet, "http://localhost/", http.NoBody)) {
		t.Error("a request without an end of its own is taken for local")
	}
}
