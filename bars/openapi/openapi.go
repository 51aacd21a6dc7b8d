// Package openapi holds the description of the BaRS proxy's wire in OpenAPI 3.1, and of what a bars_receiver answers by
// itself. openapi.json is written by hand and is served as it stands. The tests from outside hold every answer of a proxy
// and of a receiver to it. What a receiver's system answers is marked x-passed-on: the description knows of it that it is
// passed on.
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
