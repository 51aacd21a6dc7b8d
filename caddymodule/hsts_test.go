package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestStrictTransport(t *testing.T) {
	const year = "max-age=31536000"
	for _, c := range []struct {
		environment      Environment
		public, set, got string
	}{
		{Production, "https://sign.trust.example/signing-service", "", year},
		{Production, "https://sign.trust.example:8443", "", year},
		{Production, "https://sign.trust.example", "max-age=60; includeSubDomains", "max-age=60; includeSubDomains"},
		{Production, "http://sign.trust.example", "", ""},
		{Production, "", "", ""},
		{Production, "https://localhost:8443", "", ""},
		{Production, "https://sign.localhost", "", ""},
		{Production, "https://127.0.0.1", "", ""},
		{Production, "https://[::1]:8443", "", ""},
		{Integration, "https://sign.trust.example", "", ""},
		{Sandbox, "https://sign.trust.example", "", ""},
	} {
		w := httptest.NewRecorder()
		if c.set != "" {
			w.Header().Set("Strict-Transport-Security", c.set)
		}
		c.environment.strictTransport(w, c.public)
		if got := w.Header().Get("Strict-Transport-Security"); got != c.got {
			t.Errorf("%s at %s: got %q, want %q", c.environment, c.public, got, c.got)
		}
	}
}

// answering stands in for a service behind a directive.
type answering struct{ signingService }

func (answering) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNoContent)
}

// Each answer of a site in production carries the header, and none elsewhere does.
func TestSitesSendStrictTransport(t *testing.T) {
	const public = "https://sign.trust.example/x"
	for name, site := range map[string]func(Environment) caddyhttp.MiddlewareHandler{
		"signing_service": func(e Environment) caddyhttp.MiddlewareHandler {
			return &SigningService{Environment: e, PublicURL: public, mount: &Mount{}, service: answering{}}
		},
		"apim_token": func(e Environment) caddyhttp.MiddlewareHandler {
			return &TokenService{Environment: e, PublicURL: public, mount: &Mount{}, service: answering{}}
		},
	} {
		for environment, want := range map[Environment]string{Production: "max-age=31536000", Integration: ""} {
			w := httptest.NewRecorder()
			err := site(environment).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_ping", http.NoBody), nil)
			if got := w.Header().Get("Strict-Transport-Security"); err != nil || w.Code != http.StatusNoContent || got != want {
				t.Errorf("%s in %s: got %q with status %d, %v, want %q", name, environment, got, w.Code, err, want)
			}
		}
	}
}
