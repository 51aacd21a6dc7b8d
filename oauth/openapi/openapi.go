// Package openapi holds the description of the token service's wire in OpenAPI 3.1: of apim_token, of apim_authorize,
// which is mounted at the same path, and of what apim_bearer answers before any API. openapi.json is written by hand and
// is served as it stands. The tests of package oauth and those from outside hold every answer to it.
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
