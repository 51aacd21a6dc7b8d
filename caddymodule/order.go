package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

// The order of our directives in a route, independent of their place in the Caddyfile. It is set here for the packages
// below too, because Go's order of package initialisation would decide it otherwise: for example, apim_sender must come
// before reverse_proxy.
func init() {
	httpcaddyfile.RegisterDirectiveOrder("bars_receiver", httpcaddyfile.Before, "tracing") // before all others of its site
	httpcaddyfile.RegisterDirectiveOrder("apim_bearer", httpcaddyfile.After, "basic_auth")
	for _, answering := range []string{
		"eps", "apim_authorize", "apim_sender", "apim_token", "bars_proxy", "countersign_jwks", "signing_service", "smartcard_agent",
	} {
		httpcaddyfile.RegisterDirectiveOrder(answering, httpcaddyfile.Before, "reverse_proxy")
	}
}
