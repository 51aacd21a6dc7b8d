// Package openapi holds the OpenAPI 3.1 description of the BaRS proxy, and of the answers a bars_receiver gives
// itself. openapi.json is written by hand and served unchanged. The outside tests check every answer of a proxy and
// of a receiver against it. Answers of a receiver's system are marked x-passed-on: the description says only that
// they are passed on.
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
