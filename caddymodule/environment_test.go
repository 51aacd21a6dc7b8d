package caddymodule

import "testing"

// TestEnvironmentOf holds each environment's host at NHS England to be its own.
func TestEnvironmentOf(t *testing.T) {
	for _, environment := range []Environment{Sandbox, Integration, Production} {
		if of := EnvironmentOf(environment.TokenURL()); of != environment {
			t.Errorf("%s is of %q, want %q", environment.TokenURL(), of, environment)
		}
	}
	for address, want := range map[string]Environment{
		"https://INT.api.service.nhs.uk/x": Integration, "https://api.example.nhs.uk/oauth2/token": "", "http://localhost:8080": "", "%": "",
	} {
		if of := EnvironmentOf(address); of != want {
			t.Errorf("%s is of %q, want %q", address, of, want)
		}
	}
}
