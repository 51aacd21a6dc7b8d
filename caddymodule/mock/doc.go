// Package mock adds to a Caddy build what stands in for the real world: a mock smartcard agent, and a demo client
// system to try the gateway with. It is a package of its own so that a production build need not contain it; both
// refuse to run in production.
package mock

import "github.com/seed-dd2befc3/countersign/caddymodule"

// outsideProduction refuses what production must not have.
func outsideProduction(app *caddymodule.App, what string) error {
	return app.Forbid(caddymodule.Risk{Rule: caddymodule.RuleStandIn, What: what})
}
