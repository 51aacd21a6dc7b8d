package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

// The order of our directives in a route, wherever they stand in a Caddyfile. It is said here for the packages below as
// well, since Go decides in which order packages begin: a sender, for one, comes before the proxy that it sends to.
func init() {
	httpcaddyfile.RegisterDirectiveOrder("bars_receiver", httpcaddyfile.Before, "tracing") // before all others of its site
	httpcaddyfile.RegisterDirectiveOrder("apim_bearer", httpcaddyfile.After, "basic_auth")
	for _, answering := range []string{
		"eps", "apim_authorize", "apim_sender", "apim_token", "bars_proxy", "countersign_jwks", "signing_service", "smartcard_agent",
	} {
		httpcaddyfile.RegisterDirectiveOrder(answering, httpcaddyfile.Before, "reverse_proxy")
	}
}
