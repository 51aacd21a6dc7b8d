// Package bars is BaRS, the Booking and Referral Standard, in a Caddyfile: what package bars of the domain checks and
// decides, with Caddy's own reverse proxy and TLS around it.
//
//	proxy*.go      the directive bars_proxy: checks a request, finds its receiver, brokers it by Caddy's reverse proxy
//	catalogue.go   … the endpoint catalogue, which outlives a reload
//	report.go      … what is told of a request that failed
//	receiver*.go   the directive bars_receiver: nobody but the BaRS proxy reaches the system behind
//	trust.go       … who may call, and the verifier of its connection policy
//	expiry.go      tells of certificates that are about to expire
//
// Of the countersign app it uses what is exported there for directives: the environment, the clock, the rules for outgoing
// requests, the check of access tokens, and who is told of requests and refusals.
package bars
