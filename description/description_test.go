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
		t.Errorf("GET: got %d with header %v", first.Code, first.Header())
	}
	known := http.Header{"If-None-Match": {first.Header().Get("ETag")}}
	if again := get(http.MethodGet, text, known); again.Code != http.StatusNotModified {
		t.Errorf("GET with the current ETag: got %d, want 304", again.Code)
	}
	if changed := get(http.MethodGet, text+" ", known); changed.Code != http.StatusOK {
		t.Errorf("GET of a changed description: got %d, want 200", changed.Code)
	}
	if head := get(http.MethodHead, text, http.Header{}); head.Code != http.StatusOK || head.Body.Len() != 0 {
		t.Errorf("HEAD: got %d with %d bytes, want no body", head.Code, head.Body.Len())
	}
}
