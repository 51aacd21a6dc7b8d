// Package caddymodule is where Countersign meets Caddy, and the only package (with those below it) that imports
// Caddy. It turns a Caddyfile or JSON into the options of the domain packages, owns what outlives a reload, and
// holds no rule of its own about requests, keys or signatures.
//
// The countersign app, which all sites share:
//
//	app*.go             the app: environment, clients, own keys; what it is for directives is exported
//	clients.go          what is configured of a client system
//	stores.go           the engines a store can be: memory, badger
//	openstore.go        the open store, with its running jobs and the delivery of webhooks (webhooks*.go)
//	timedstore.go       … measures each call of it, with a span for each
//	tracing.go          our spans, and Caddy's without the tokens in their addresses
//	keysets.go          the key sets that were fetched, and the rules for outgoing requests
//	vault.go            Caddy's storage, for keys
//	openid*.go          the providers that people sign in at
//	audit.go            the audit log
//	refusals.go         the record of refused requests; limiter.go delays the answers to some of them
//	pools.go            what callers share until they have proven who they are
//	admin*.go           what Caddy's admin endpoint tells an operator, of the app that runs (running.go)
//	proxies.go          … and of each bars_proxy
//	displays.go         what can be shown of prescriptions, and the check of those that pass by
//	environment.go      sandbox, int or prod
//	production.go       the table of what production refuses, and who judges by it; addresses.go judges addresses
//	limits.go           what options can be meant to be; dirs.go holds directories apart
//	site.go             what a handler can see of its server and of other sites; mount.go notices a mount that no request reaches
//	cardmodules.go      the PKCS#11 modules of its own agents
//	order.go            the order of all directives in a route
//	version.go          the version of the build, as /_ping tells it
//	faults*.go          what only the build of test/faults has: a clock that can be moved, a store that forgets
//
// Its directives (x.go, and the syntax in x_caddyfile.go):
//
//	signing*.go         signing_service; signing_check.go is what it refuses
//	certificates*.go    … whether a card's certificate is accepted; revocations.go is what is known of revocations
//	agentclient.go      … how a gateway reaches an agent: mutual TLS by Caddy's own http transport
//	credential_*.go     … or by the page, on the person's own machine
//	smartcard_agent.go  smartcard_agent: who may ask an agent
//	jwks.go             countersign_jwks
//	apim_token.go       apim_token: access tokens for clients; apim_authorize*.go: those with a user, by a sign-in
//	apim_bearer*.go     apim_bearer: who shows one may pass. One Door behind it, the provider in apim_provider.go, and the
//	                    services; apim_products.go is what tokens are for, apim_errors.go how a refusal is worded
//	loopback.go         what a site without public_url is held to
//
// These stay beside the app, since they are made of its registries of clients and keys. The packages below know of it only
// what is exported:
//
//	logs      the encoder countersign for Caddy's logs
//	bars      the directives bars_proxy and bars_receiver
//	eps       the directive eps: what is kept of prescriptions for the page
//	sender    the directive apim_sender: an application's own tokens and headers
//	command   the command line, caddy countersign
//	adminapi  the answers of the admin endpoint that commands read
//	metrics   what is counted
//	pool      what outlives a reload, and a configuration's share in it
//	parse     the options of a Caddyfile, read in one way
//
// Opt-in modules are packages below as well, each one more --with of a build, so that a gateway carries what it uses: mock
// adds the mock smartcard agent and the demo client system, postgres the store of several gateways, pkcs11 real cards.
package caddymodule

import _ "github.com/seed-dd2befc3/countersign/caddymodule/logs" // registers the encoder, which every build has
