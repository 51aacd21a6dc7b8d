// Package adminapi is what passes between a running gateway's admin endpoint and the commands that ask it: the answers
// of /countersign/sessions, /countersign/deliveries and /countersign/refusals, which commands print with --json as they
// came. Package caddymodule fills them, package command explains them; neither Caddy nor a rule is known here. Nothing
// in them is secret or personal.
//
// What is read by programs alone (live, ready, status) is with its handlers in caddymodule.
package adminapi

// How many sessions, webhooks or refusals one answer lists.
const (
	DefaultListed = 50
	MaxListed     = 1000
)

// Failure is the body of an answer other than success, in the shape of Caddy's own.
type Failure struct {
	Error string `json:"error"`
}
