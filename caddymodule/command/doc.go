// Package command is the command line, caddy countersign. Importing it registers the commands with Caddy; one file a
// command, and beside it what only that command needs.
//
//	for clients   keygen     makes an RSA key pair and its key set                   keys.go
//	              jwks       prints the key set of PEM keys, or refreshes one        keys.go, keysets.go
//	              sign       has files signed by a person with a smartcard           sign.go, service.go, progress.go
//	              verify     checks saved signatures again, without the service      verify.go
//	              token      gets an access token, or explains why there is none     token.go
//	for BaRS      onboard    leads through connecting a system, step by step         onboard.go, onboard_steps.go
//	              doctor     finds what keeps a sender or a receiver from working    doctor*.go
//	for gateways  client     checks a client's key and writes its Caddyfile block    client.go
//	              status     tells what is wrong at this moment                      status.go
//	              sessions   lists signing sessions, or explains one                 sessions.go
//	              deliveries lists webhooks, explains them, delivers them again      deliveries.go
//	              why        tells which check refused a request, and what to do     why.go, logsearch.go, advice.go
//	              audit      checks the audit log, or exports from it                audit*.go
//	              store      backs up, restores, checks or repairs the store         store*.go
//
// command.go registers them and holds what is common to all, such as --json; table.go is how they speak to people,
// admin.go how they ask a running gateway, whose answers are the types of package adminapi. guest.go is for opt-in
// packages that bring commands of their own. place.go finds a gateway's files: how.go knows how it is started, package
// systemd reads its unit, and owner.go sees to it that it can read what a command makes.
//
// Commands call the domain packages, and of caddymodule only what reads a configuration: they never become part of a
// gateway that runs, and keep nothing but the files that they were asked to write.
package command
