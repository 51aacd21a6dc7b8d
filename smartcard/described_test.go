package smartcard_test

import (
	"bytes"
	"net/http"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

var described = sync.OnceValues(func() (*descriptiontest.Document, error) { return descriptiontest.Load("openapi/openapi.json") })

// mustBeDescribed checks an answer, and each line of a stream, against the description.
func mustBeDescribed(t *testing.T, r *http.Request, response *http.Response, body []byte) {
	t.Helper()
	document, err := described()
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Judge(r, r.URL.Path, descriptiontest.Answer{Status: response.StatusCode, Header: response.Header, Body: body}); err != nil {
		t.Errorf("answer %d does not match its description: %v\n%s", response.StatusCode, err, body)
	}
	if response.Header.Get("Content-Type") != "application/x-ndjson" {
		return
	}
	for line := range bytes.Lines(body) {
		if err := document.Schema("Line", line); err != nil {
			t.Errorf("line %s does not match its description: %v", line, err)
		}
	}
}
