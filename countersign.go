// Package countersign is what an xcaddy build names: importing it registers the Countersign modules with
// Caddy and adds the commands caddy countersign, as in
//
//	xcaddy build --with github.com/seed-dd2befc3/countersign
//
// It holds no code. The way of a request begins in package caddymodule, which hands it to package signing.
// The mock smartcard agent and the demo client system are not part of this import; a build that wants them
// adds github.com/seed-dd2befc3/countersign/caddymodule/mock.
package countersign

import (
	_ "github.com/seed-dd2befc3/countersign/caddymodule"         // registers the modules
	_ "github.com/seed-dd2befc3/countersign/caddymodule/bars"    // registers the directives bars_proxy and bars_receiver
	_ "github.com/seed-dd2befc3/countersign/caddymodule/command" // registers the commands
	_ "github.com/seed-dd2befc3/countersign/caddymodule/eps"     // registers the directive eps
	_ "github.com/seed-dd2befc3/countersign/caddymodule/sender"  // registers the directive apim_sender
)
