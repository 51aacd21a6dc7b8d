package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

// mustAnswerAs holds an answer to a reusable response of a description.
func mustAnswerAs(t *testing.T, file, name string, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	document, err := descriptiontest.Load(file)
	if err == nil {
		err = document.Response(name, r, descriptiontest.Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()})
	}
	if err != nil {
		t.Errorf("the answer %d is not as %s is described: %v\n%s", w.Code, name, err, w.Body)
	}
}
