// Package bars brings BaRS, the Booking and Referral Standard, into the Caddyfile: the checks and decisions of the
// domain package bars, with Caddy's own reverse proxy and TLS around them.
//
//	proxy*.go      the directive bars_proxy: checks a request, finds its receiver, forwards it by Caddy's reverse proxy
//	catalogue.go   … the endpoint catalogue, which survives a reload
//	report.go      … what is logged and counted about a failed request
//	receiver*.go   the directive bars_receiver: only the BaRS proxy reaches the system behind it
//	trust.go       … who may call, and the verifier of its connection policy
//	expiry.go      warns of certificates that are about to expire
//
// Of the countersign app it uses only what is exported for directives: the environment, the clock, the rules for
// outbound requests, the check of access tokens, and the report of requests and refusals.
package bars
