// Package description serves a component's description of its own API: an OpenAPI 3.1 document, for people and programs
// that write clients. Each component has its document next to its code, written by hand and served as it is
// (signing/openapi, oauth/openapi, bars/openapi). Package descriptiontest checks documents against the standard, and
// answers in tests against the document.
//
// The package knows none of the documents, and changes nothing in them.
package description

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// Path is the path of a description, next to the endpoints it describes.
const Path = "/openapi.json"

// Link is the header that points to the description from a path next to it (RFC 8631 §4.1).
const Link = `<openapi.json>; rel="service-desc"; type="application/json"`

// Serve answers GET and HEAD with a description. Caches must revalidate it each time.
func Serve(w http.ResponseWriter, r *http.Request, document []byte) {
	sum := sha256.Sum256(document)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
}
