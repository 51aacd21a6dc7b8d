// Package mock adds stand-ins for the outside world to a Caddy build: a mock smartcard agent, a mock OpenID provider
// and a demo client system. It is a separate package so that a production build need not include them; all refuse to
// run in production.
package mock

import "github.com/seed-dd2befc3/countersign/caddymodule"

// outsideProduction refuses a stand-in in production.
func outsideProduction(app *caddymodule.App, what string) error {
	return app.Forbid(caddymodule.Risk{Rule: caddymodule.RuleStandIn, What: what})
}
