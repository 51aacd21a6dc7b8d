// Package openapi holds the description of the Signing Service's wire in OpenAPI 3.1, for people and programs that
// write clients. openapi.json is written by hand and is served as it stands. The tests of the journey hold every
// answer of the built binary to it, and the test beside it holds it to the service's own list of endpoints.
//
// Its schemas of answers are open: a client takes members that it does not know, for a newer service may send some.
package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the description
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed openapi.json
var document []byte

// Link leads to the description from a path beside it (RFC 8631 §4.1).
const Link = `<openapi.json>; rel="service-desc"; type="application/json"`

// Serve answers GET and HEAD with the description. A caller that keeps it asks each time whether it still holds.
func Serve(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(document)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
}
