// Package caddymodule is where Countersign meets Caddy, and the only package (with those below it) that imports
// Caddy. It turns a Caddyfile or JSON into the options of the domain packages, owns what outlives a reload, and
// holds no rule of its own about requests, keys or signatures.
//
//	app.go              the app "countersign": environment, store, clients, own keys
//	clients.go          what is configured of a client system
//	openstore.go        what outlives a reload: the open store with its running jobs and the delivery of webhooks
//	keysets.go          … the key sets that were fetched
//	audit.go            … the audit log
//	refusals.go         … the memory of requests that were refused
//	admin.go            what Caddy's admin endpoint tells an operator
//	stores.go           the engines a store can be: memory, badger
//	webhooks.go         how clients' webhooks are delivered
//	vault.go            Caddy's storage, for keys
//	signing.go          the directive signing_service
//	agentclient.go      how a gateway reaches an agent: mutual TLS by Caddy's own http transport
//	smartcard_agent.go  the directive smartcard_agent: who may ask an agent
//	jwks.go             the directive countersign_jwks
//	apim_token.go       the directive apim_token: access tokens for clients
//	order.go            the order of all directives in a route
//	apim_bearer.go      the directive apim_bearer: who shows one may pass; one check behind it, the provider and the services
//	*_caddyfile.go      the syntax of each
//
// Below it are
//
//	bars      the directives bars_proxy and bars_receiver
//	sender    the directive apim_sender: an application's own tokens and headers
//	command   the command line, caddy countersign
//	adminapi  the answers of the admin endpoint that commands read
//	metrics   what is counted
//	pool      what outlives a reload, and a configuration's share in it
//	parse     the options of a Caddyfile, read in one way
//
// Opt-in modules are packages below as well, each one more --with of a build, so that a gateway carries what it
// uses: caddymodule/mock adds the mock smartcard agent and the demo client system.
package caddymodule
