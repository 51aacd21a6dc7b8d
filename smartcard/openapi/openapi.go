// Package openapi holds the description of a smartcard agent's wire in OpenAPI 3.1, for gateways. openapi.json is written
// by hand and is served as it stands. The tests of package smartcard hold the agent's answers to it.
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
