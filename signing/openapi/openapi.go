// Package openapi holds the description of the Signing Service's wire in OpenAPI 3.1, for people and programs that
// write clients. openapi.json is written by hand and is served as it stands. The tests of the journey hold every
// answer of the built binary to it, and the test beside it holds it to the service's own list of endpoints.
//
// Its schemas of answers are open: a client takes members that it does not know, for a newer service may send some.
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
