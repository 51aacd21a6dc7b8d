package tokens_test

import (
	"net/http"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The token service says itself how it is spoken to. That every answer is as described is seen to by the client, for
// every call of every test here.
func TestDescription(t *testing.T) {
	w := newWorld(t)
	base := w.URL("GATEWAY", "/oauth2")
	gateway.MustBeDescribed(t, base+"/_ping", "oauth/openapi/openapi.json")
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"GET", "/_ping", nil, http.StatusOK},
		{"HEAD", "/_ping", nil, http.StatusOK},
		{"POST", "/_ping", nil, http.StatusMethodNotAllowed},
		{"GET", "/_ping", []string{"Origin", "https://portal.example"}, http.StatusOK},
		{"GET", "/_status", nil, http.StatusUnauthorized},
		{"GET", "/_status", []string{"apikey", "s3cret"}, http.StatusOK},
		{"HEAD", "/openapi.json", nil, http.StatusOK},
		{"DELETE", "/openapi.json", nil, http.StatusMethodNotAllowed},
		{"OPTIONS", "/token", []string{"Origin", "https://portal.example", "Access-Control-Request-Method", "POST"}, http.StatusOK},
		{"OPTIONS", "/token", nil, http.StatusMethodNotAllowed},
		{"GET", "/authorize", nil, http.StatusNotFound}, // nobody signs in here
	} {
		if a := send(t, c.method, base+c.path, "", c.headers...); a.status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
		}
	}
}
