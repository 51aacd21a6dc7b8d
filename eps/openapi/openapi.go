// Package openapi holds the description of the wire of a stand-in for EPS in OpenAPI 3.1. openapi.json is written by hand
// and is served as it stands. The tests hold every answer to it.
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
