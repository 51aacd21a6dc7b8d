package redact

import (
	"strings"
	"testing"
)

const token = "f523a772-24f2-45d6-a8da-59b48de0231a"

func TestURI(t *testing.T) {
	named := isUUID(token)
	if len(named) != len(hidden)+32 {
		t.Fatalf("got %q for the token, want it hidden", named)
	}
	for address, want := range map[string]string{
		"/":                            "/",
		"":                             "",
		"/signing-service/_ping":       "/signing-service/_ping",
		"/signing-service/page/app.js": "/signing-service/page/app.js",
		"/signing-service/signatureresponse/" + token:                                         "/signing-service/signatureresponse/" + named,
		"/signing-service/signatureresponse/" + strings.ToUpper(token):                        "/signing-service/signatureresponse/" + named,
		"/signing-service/signatureresponse/ZjUyM2E3NzItMjRmMi00NWQ2LWE4ZGEtNTliNDhkZTAyMzFh": "/signing-service/signatureresponse/" + named,
		"/signing-service/signatureresponse/%66523a772-24f2-45d6-a8da-59b48de0231a":           "/signing-service/signatureresponse/" + named,
		"/signing-service/signatureresponse/short":                                            "/signing-service/signatureresponse/…",
		"/signing-service/signatureresponses/" + token:                                        "/signing-service/signatureresponses/" + named,
		"/" + token + "/x": "/" + named + "/x",
		"/signing-service/client?token=" + token + "&state=e30=&mock=true":                             "/signing-service/client?token=" + named + "&state=…&mock=true",
		"/signing-service/client?session=0c5e9b1a7d2f4e6880b3c1d2e3f4a5b6":                             "/signing-service/client?session=0c5e9b1a7d2f4e6880b3c1d2e3f4a5b6",
		"/signing-service/client?session=" + token:                                                     "/signing-service/client?session=" + named,
		"/signing-service/client/signed-in?code=SplxlOBeZQQYbYS6WxSbIA&state=xyz":                      "/signing-service/client/signed-in?code=…&state=…",
		"/oauth2/authorize?client_id=acme&response_type=code&redirect_uri=https%3A%2F%2Facme%2Fin%3Fx": "/oauth2/authorize?client_id=…&response_type=code&redirect_uri=…",
		"/oauth2/callback?error=access_denied&error_description=he%20said":                             "/oauth2/callback?error=access_denied&error_description=…",
		"https://epr.example/signed?site=7&token=" + token + "&state=a+b=":                             "https://epr.example/signed?site=…&token=" + named + "&state=…",
		"https://user:pass@epr.example/x#access_token=abc":                                             "https://…@epr.example/x#…",
		"/fhir/Appointment?patient:identifier=https://fhir.nhs.uk/Id/nhs-number|9990548609":            "/fhir/Appointment?patient:identifier=…",
		"/fhir/Patient/9990548609":                                          "/fhir/Patient/…",
		"/users/555086689106":                                               "/users/…",
		"/x/1ba5f52b9c0f4c2d8a7e6b5c4d3e2f1a0b":                             "/x/…",
		"/x/eyJhbGciOiJSUzUxMiJ9.eyJpc3MiOiJhIn0.c2ln":                      "/x/…",
		"/fhir/StructureDefinition/BARSMessageHeader-booking-request-1.2.0": "/fhir/StructureDefinition/BARSMessageHeader-booking-request-1.2.0",
		"/signing-service;token=" + token + "/x":                            "/…/x",
		"/signatureresponse:" + token:                                       "/…",
		"/x/(" + token + ")":                                                "/x/" + named,
		"/x/token%3A" + token:                                               "/x/…",
		"/fhir/Patient('9990548609')":                                       "/fhir/…",
		"/x/nhs-number%7C9990548609":                                        "/x/…",
		"/x/999%20054%208609":                                               "/x/…",
		"/x/999-054-8609":                                                   "/x/…",
		"/x/2026-12-01T10:00:00Z":                                           "/x/2026-12-01T10:00:00Z",
		"/x/10.1.2.3:8443":                                                  "/x/10.1.2.3:8443",
		"/x?" + token:                                                       "/x?…",
		"/x?a&b=":                                                           "/x?a&b=",
		"*":                                                                 "*",
		"example.com:443":                                                   "example.com:443",
	} {
		if got := URI(address); got != want {
			t.Errorf("%s:\n got %s\nwant %s", address, got, want)
		}
	}
}

func TestHeader(t *testing.T) {
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Apikey", "apikey", "X-API-Key", "X-Csrf-Token", "X-Auth-Token",
		"Webhook-Signature", "NHSD-Session-URID", "X-Forwarded-User", "Client-Assertion",
		"NHSD-Identity-UUID", "X-Patient", "Nhs-Number", "X-Subject",
	} {
		if got := Header(name, "canary"); got != whole {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for _, c := range [][3]string{
		{"Location", "https://epr.example/signed?token=" + token, "https://epr.example/signed?token=" + isUUID(token)},
		{"Referer", "https://gateway.example/signing-service/client?token=canary-1", "https://gateway.example/signing-service/client?token=…"},
		{"X-Original-URI", "/signatureresponse/canary", "/signatureresponse/…"},
		{"X-Request-Id", token, token},
		{"X-Correlation-Id", token, token},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"},
		{"Content-Type", "text/html; charset=utf-8", "text/html; charset=utf-8"},
		{"Www-Authenticate", `Bearer realm="x", error="invalid_token"`, `Bearer realm="x", error="invalid_token"`},
		{"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		{"Link", "<https://x.example/y?code=canary>; rel=next", "<https://x.example/y?code=…>; rel=next"},
	} {
		if got := Header(c[0], c[1]); got != c[2] {
			t.Errorf("%s: got %q, want %q", c[0], got, c[2])
		}
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"dial tcp 10.1.2.3:443: i/o timeout": "dial tcp 10.1.2.3:443: i/o timeout",
		`Get "https://x.example/y?token=canary&a=b": EOF`:                      `Get "https://x.example/y?token=…&a=…": EOF`,
		"no handler for /signing-service/signatureresponse/" + token + " here": "no handler for /signing-service/signatureresponse/" + isUUID(token) + " here",
		"signatureresponse/" + token:                                           "signatureresponse/" + isUUID(token),
		"token eyJhbGciOiJSUzUxMiJ9.eyJpc3MiOiJhIn0.c2ln is bad":               "token … is bad",
		"sent Authorization: Bearer canary-canary":                             "sent Authorization: Bearer …",
		"grant_type=client_credentials&client_assertion=canary&x=y":            "grant_type=client_credentials&client_assertion=…&x=y",
		"request " + token: "request " + token,
		`{"access_token":"cana\"ry","expires_in":"599","code" : "canary"}`: `{"access_token":"…","expires_in":"599","code" : "…"}`,
		"what? nothing = everything":                                       "what? nothing = everything",
		`{"uri":"/client?token=canary"}`:                                   `{"uri":"/client?token=…"}`,
	} {
		if got := Text(text); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// Whatever the input, no part of the output is longer than a name, and none is a token.
func FuzzURI(f *testing.F) {
	f.Add("/a/", "?b=")
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, address := range []string{"/signatureresponse/" + token, "/client?token=" + token, "https://x.example/?code=" + token} {
			if got := URI(address + after); strings.Contains(got, token) && !strings.Contains(before+after, token) {
				t.Errorf("URI(%q): got %q", address+after, got)
			}
		}
		if strings.ContainsAny(before, "?#") {
			return
		}
		if got := URI(before + "/" + token); strings.Contains(got, token) && !strings.Contains(before, token) {
			t.Errorf("Text(%q): got %q", before+"/"+token, got)
		}
	})
}

func BenchmarkURI(b *testing.B) {
	for b.Loop() {
		URI("/signing-service/client?token=" + token + "&state=e30=&mock=true")
	}
}
