// Package command is the command line, caddy countersign. Importing it registers the commands with Caddy. Each command has
// its own file.
//
//	for clients   keygen     makes an RSA key pair and its key set                   keys.go
//	              jwks       prints the key set of PEM keys, or refreshes one        keys.go, keysets.go
//	              sign       gets files signed by a person with a smartcard          sign.go, service.go, progress.go
//	              verify     checks saved signatures again, without the service      verify.go
//	              token      gets an access token, or explains why there is none     token.go
//	for BaRS      onboard    guides through connecting a system, step by step        onboard.go, onboard_steps.go
//	              doctor     finds why a sender or a receiver does not work          doctor*.go
//	for gateways  client     checks a client's key and writes its Caddyfile block    client.go
//	              status     lists the current problems                              status.go
//	              sessions   lists signing sessions, or explains one                 sessions.go
//	              deliveries lists webhooks, explains them, delivers them again      deliveries.go
//	              why        says which check refused a request, and what to do      why.go, logsearch.go, advice.go
//	              audit      checks the audit log, or exports from it                audit*.go
//	              store      backs up, restores, checks or repairs the store         store*.go
//
// command.go registers them and holds what they share, such as --json. table.go prints tables. admin.go talks to a running
// gateway, whose answers are the types of package adminapi. guest.go is for commands of opt-in packages. place.go finds a
// gateway's files: how.go knows how it is started, package systemd reads its unit, and owner.go makes sure that the
// gateway can read the files that a command makes.
//
// Commands call the domain packages, and use caddymodule only to read a configuration. They never become part of a running
// gateway, and keep only the files that they were asked to write.
package command
