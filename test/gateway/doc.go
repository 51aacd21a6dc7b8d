// Package gateway drives the built Caddy binary from outside, for tests only. It starts a gateway with a
// Caddyfile of the test's own, in a home of its own, on free ports; stops, kills, restarts and reloads it; and
// speaks to it as its neighbours do: a client system, a browser, somebody with a certificate.
//
// It imports nothing of the product. Keys, JWTs and verifications come from OpenSSL and xmlsec1, so that our
// code never vouches for itself.
//
// At the end of a test it fails the test if the gateway reported a data race or a panic, or logged anything
// that was declared private by MustNotLog.
package gateway
