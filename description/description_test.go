package description_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/description"
)

func TestServe(t *testing.T) {
	const text = `{"openapi":"3.1.0"}`
	get := func(method, text string, header http.Header) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), method, description.Path, http.NoBody)
		request.Header = header
		answer := httptest.NewRecorder()
		description.Serve(answer, request, []byte(text))
		return answer
	}
	first := get(http.MethodGet, text, http.Header{})
	if first.Code != http.StatusOK || first.Body.String() != text || first.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", first.Code, first.Header())
	}
	known := http.Header{"If-None-Match": {first.Header().Get("ETag")}}
	if again := get(http.MethodGet, text, known); again.Code != http.StatusNotModified {
		t.Errorf("asked whether it still holds: %d", again.Code)
	}
	if changed := get(http.MethodGet, text+" ", known); changed.Code != http.StatusOK {
		t.Errorf("another one: %d", changed.Code)
	}
	if head := get(http.MethodHead, text, http.Header{}); head.Code != http.StatusOK || head.Body.Len() != 0 {
		t.Errorf("HEAD: %d with %d bytes", head.Code, head.Body.Len())
	}
}
