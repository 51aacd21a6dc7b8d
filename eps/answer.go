package eps

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/prescription"
)

const contentType = "application/fhir+json"

// write answers with a FHIR resource.
func write(w http.ResponseWriter, status int, resource any) {
	text, err := json.Marshal(resource)
	if err != nil { // only our own types come here
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a caller that has gone needs no answer
}

// refuse answers with an OperationOutcome of one issue.
func refuse(w http.ResponseWriter, status int, code, format string, args ...any) {
	write(w, status, prescription.Outcome{Issues: []prescription.Issue{
		{Severity: "error", Code: code, Diagnostics: fmt.Sprintf(format, args...)},
	}})
}

// refuseBody answers for a request whose body cannot be read.
func refuseBody(w http.ResponseWriter, err error) {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, "too-long", "The request is larger than %d bytes.", tooLarge.Limit)
		return
	}
	refuse(w, http.StatusBadRequest, "incomplete", "The request did not arrive whole.")
}

// isJSON reports whether a media type is FHIR's or plain JSON. None at all is taken for it, as EPS does.
func isJSON(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "", contentType, "application/json":
		return true
	}
	return false
}
