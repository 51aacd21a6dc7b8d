package journey_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const sandboxCaddyfile = `{
	auto_https off
	default_bind 127.0.0.1
	countersign {
		environment sandbox
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing-service/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing-service
			access open
		}
	}
}
`

const exampleToken = "f523a772-24f2-45d6-a8da-59b48de0231a" // of the specification

// The sandbox answers from canned scenarios and keeps nothing (SIG-7.1 to SIG-7.3).
func TestSandbox(t *testing.T) {
	g := gateway.Start(t, sandboxCaddyfile)
	s := gateway.System{Base: g.URL("GATEWAY", "/signing-service"), ID: "anybody", Kid: "any", Key: gateway.NewKey(t, 2048), Sub: "anybody at all"}
	var accepted gateway.Accepted
	t.Run("any well-formed request gets the example's token", func(t *testing.T) {
		accepted = s.Request(t, "RS1", "a+b=", gateway.Payloads("RS1", 3)...)
		if accepted.Token != exampleToken || accepted.RedirectURI != s.Base+"/client?token="+exampleToken+"&state=a+b=" {
			t.Errorf("%+v", accepted)
		}
	})
	t.Run("a malformed one does not", func(t *testing.T) {
		mustRefuse(t, s.Post(t, "a.b", ""), refusal{400, "malformed", pattern})
		mustRefuse(t, s.Post(t, s.Key.JWT(t, gateway.With(s.Header(), "kid", nil), s.Claims("RS1", gateway.Payloads("RS1", 1)...)), ""), refusal{400, "kid", header + `"kid" is required`})
	})
	t.Run("its page works", func(t *testing.T) {
		browser := gateway.Visit(t, accepted.RedirectURI)
		if view := browser.Open(); view.State != "opened" {
			t.Fatalf("opened: %+v", view)
		}
		answer := browser.TrySign()
		var view gateway.View
		answer.JSON(t, &view)
		if view.State != "signed" || view.Redirect == "" {
			t.Errorf("signed: %d %s", answer.Status, answer.Body)
		}
	})
	t.Run("its signature verifies", func(t *testing.T) {
		signed := s.Fetch(t, exampleToken)
		payload, err := os.ReadFile(filepath.Join(gateway.Root(t), "signing", "sandbox", "payload.xml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(signed.Signatures) == 0 {
			t.Fatal("no signature")
		}
		if err := gateway.NewVerifier(t, "RS256", signed.Certificate).Verify(payload, decode(t, signed.Signatures[0].Signature)); err != nil {
			t.Error(err)
		}
	})
	for token, want := range map[string]refusal{
		"00000000-0000-4000-8000-000000000001": {400, "", "Signature request has not been downloaded yet"},
		"00000000-0000-4000-8000-000000000002": {404, "", "Could not find the specified signature response"},
		"00000000-0000-4000-8000-000000000003": {410, "failed", ""},
		"00000000-0000-4000-8000-000000000004": {410, "cancelled", ""},
		"00000000-0000-4000-8000-000000000005": {410, "expired", ""},
		"00000000-0000-4000-8000-000000000401": {401, "access_token", ""},
		"00000000-0000-4000-8000-000000000503": {503, "unavailable", ""},
		"11111111-0000-4000-8000-000000000001": {404, "", "No signature request for specified token"},
		"anything":                             {400, "", `Invalid request params: "token" must be a valid base64 string`},
	} {
		t.Run("token "+token, func(t *testing.T) {
			answer := s.Response(t, token)
			mustRefuse(t, answer, want)
			if want.status == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if want.status == http.StatusUnauthorized && answer.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
			readme, err := os.ReadFile(filepath.Join(gateway.Root(t), "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(token, "00000000") && !strings.Contains(string(readme), token) {
				t.Error("the README does not list it")
			}
		})
	}
	t.Run("a fault by a header", func(t *testing.T) {
		post := func(fault string) gateway.Answer {
			jwt := s.JWT(t, "RS256", gateway.Payloads("RS256", 1)...)
			return s.PostAs(t, "text/plain", "", []byte(jwt), "x-fault", fault)
		}
		for fault, want := range map[string]struct {
			state, reason string
			status        int
		}{
			"wrong_pin":           {"opened", "wrong_pin", 404},
			"revoked_certificate": {"failed", "certificate_revoked", 410},
		} {
			var accepted gateway.Accepted
			post(fault).JSON(t, &accepted)
			if view := gateway.Visit(t, accepted.RedirectURI).SignToEnd(); view.State != want.state || view.ReasonCode() != want.reason {
				t.Errorf("%s: left %q, %+v", fault, view.State, view.Reason)
			}
			mustRefuse(t, s.Response(t, accepted.Token), refusal{status: want.status})
		}
		mustRefuse(t, post("none_such"), refusal{400, "fault", ""})
	})
	t.Run("it opens no store", func(t *testing.T) {
		if files, err := os.ReadDir(g.Data("countersign/store")); err == nil {
			t.Errorf("there is a store with %d files", len(files))
		}
	})
}
