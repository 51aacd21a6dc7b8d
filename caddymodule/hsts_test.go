package caddymodule

import (
	"net/http/httptest"
	"testing"
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
