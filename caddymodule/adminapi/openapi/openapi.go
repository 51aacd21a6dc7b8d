// Package openapi holds the description, in OpenAPI 3.1, of what a gateway adds to Caddy's admin endpoint, for operators
// who script against it. openapi.json is written by hand and is served as it stands.
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
