package descriptiontest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// MustAnswerAs holds an answer to a reusable response of a description, which parts without paths of their own give.
func MustAnswerAs(t testing.TB, file, name string, r *http.Request, answer *httptest.ResponseRecorder) {
	t.Helper()
	document, err := Load(file)
	if err == nil {
		err = document.Response(name, r, Answer{Status: answer.Code, Header: answer.Header(), Body: answer.Body.Bytes()})
	}
	if err != nil {
		t.Errorf("the answer %d is not as %s is described: %v\n%s", answer.Code, name, err, answer.Body)
	}
}
