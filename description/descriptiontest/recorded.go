package descriptiontest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// MustAnswerAs checks an answer against a reusable response, for components without paths of their own.
func MustAnswerAs(t testing.TB, file, name string, r *http.Request, answer *httptest.ResponseRecorder) {
	t.Helper()
	document, err := Load(file)
	if err == nil {
		err = document.Response(name, r, Answer{Status: answer.Code, Header: answer.Header(), Body: answer.Body.Bytes()})
	}
	if err != nil {
		t.Errorf("answer %d does not match response %s: %v\n%s", answer.Code, name, err, answer.Body)
	}
}
