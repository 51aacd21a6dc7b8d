// Package description serves what a part of the product says of its own wire: a document in OpenAPI 3.1, for people and
// programs that write clients. Each part has its document beside its code, written by hand and served as it stands
// (signing/openapi, oauth/openapi, bars/openapi); descriptiontest holds documents to the standard, and every answer that
// the tests get to the document.
//
// It knows none of the documents, and changes nothing in them.
package description

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// Path is where a description is, beside the endpoints that it describes.
const Path = "/openapi.json"

// Link leads to the description from a path beside it (RFC 8631 §4.1).
const Link = `<openapi.json>; rel="service-desc"; type="application/json"`

// Serve answers GET and HEAD with a description. A caller that keeps it asks each time whether it still holds.
func Serve(w http.ResponseWriter, r *http.Request, document []byte) {
	sum := sha256.Sum256(document)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
}
