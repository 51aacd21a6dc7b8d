// Command caddy is Caddy with every standard module, the Countersign modules, the PostgreSQL store, and the mock
// smartcard agent and demo client system built in. It is what the repository's Caddyfile runs on. A production gateway
// is one that was released, which is this with the build tag nomock, or is built with xcaddy and carries only what it
// uses.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/seed-dd2befc3/countersign"
	_ "github.com/seed-dd2befc3/countersign/caddymodule/postgres"
)

func main() {
	caddycmd.Main()
}
