// Package openapi holds the OpenAPI 3.1 description of a smartcard agent for gateways. openapi.json is written by
// hand and served unchanged. The tests of package smartcard check the agent's answers against it.
package openapi

import (
	_ "embed" // the description
	"net/http"

	"github.com/seed-dd2befc3/countersign/description"
)

//go:embed openapi.json
var document []byte

// Serve answers GET and HEAD with the description.
func Serve(w http.ResponseWriter, r *http.Request) { description.Serve(w, r, document) }
