package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// said is a transport that answers by itself.
type said struct {
	status int
	header http.Header
	body   string
}

func (s said) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: s.header.Clone(), Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// Each answer that is right passes; changed in one thing it does not. What stands here is what the product answers.
func TestDescribedCanSayNo(t *testing.T) {
	fields := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	const id = "9d0b1c1e-4a5f-4c58-9a8e-1f2f6f2a9a11"
	plain := fields("Content-Type", "application/json", "Cache-Control", "no-store")
	for name, c := range map[string]struct {
		method, path string
		said
		changes []string // a part of the body, and what takes its place
	}{
		"token": {"POST", "/oauth2/token", said{200, plain, `{"access_token":"Sr5PGv19wTEHJdDr2wx2f7IGd0cw","expires_in":"599","token_type":"Bearer","issued_at":"1675784384503"}`},
			[]string{`"599"`, `599`, `"599"`, `"600"`, `"issued_at"`, `"issued"`, `"Bearer"`, `"bearer"`, `{`, `{"scope":"x",`}},
		"row 12": {"POST", "/oauth2/token", said{400, plain, `{"error":"invalid_request","error_description":"Invalid 'exp' claim in client_assertion JWT - must be an integer","message_id":"` + id + `"}`},
			[]string{"invalid_request", "invalid_grant", "must be", "has to be", id, "1", `{`, `{"hint":"x",`, `,"message_id":"` + id + `"`, ""}},
		"row 27": {"GET", "/oauth2/tokens", said{404, plain, `{"error":"invalid_request","error_description":"Not Found","message_id":"` + id + `"}`},
			[]string{"Not Found", "Gone", "invalid_request", "not_found"}},
		"row 0": {"GET", "/oauth2/token", said{405, fields("Allow", "POST", "Cache-Control", "no-store"), ""}, []string{"", "x"}},
		"apim_bearer": {"GET", "/api/x", said{401, fields("Content-Type", "application/json", "Cache-Control", "no-store", "WWW-Authenticate", "Bearer"),
			`{"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"oauth.v2.InvalidAccessToken"}}}`},
			[]string{"Invalid access token", "Invalid Access Token", "oauth.v2.", "", `{"fault"`, `{"error":1,"fault"`}},
		"BaRS proxy": {"GET", "/booking-and-referral/FHIR/R4/Slot", said{404, fields("Content-Type", "application/fhir+json", "Cache-Control", "no-store", "X-Request-Id", "1"),
			`{"resourceType":"OperationOutcome","id":"5f0c1b0e-7d3a-4b7e-9a51-3f1f6d2c8e01","meta":{"profile":["https://simplifier.net/guide/UKCoreDevelopment2/ProfileUKCore-OperationOutcome"]},"issue":[{"severity":"error","code":"not-found","details":{"coding":[{"system":"https://fhir.nhs.uk/Codesystem/http-error-codes","code":"PROXY_NOT_FOUND"}]},"diagnostics":"The target endpoint does not exist in the Endpoint Catalogue."}]}`},
			[]string{"not-found", "invalid", "PROXY_NOT_FOUND", "REC_NOT_FOUND", "does not", "does", `"severity":"error",`, ""}},
		"admin": {"GET", "/countersign/deliveries", said{200, plain, `{"deliveries":[{"id":"9f2c","client":"acme","state":"pending","at":"2026-11-22T09:00:00Z","attempts":1,"failures":1,"address":"http://localhost:9/hook"}]}`},
			[]string{`"pending"`, `"lost"`, `"attempts":1`, `"attempts":"1"`, `,"client":"acme"`, "", `"id"`, `"token":"x","id"`}},
		"Signing Service": {"GET", "/main/signatureresponse/" + id, said{404, fields("Content-Type", "application/json", "X-Request-Id", "1"),
			`{"statusCode":404,"error":"Not Found","message":"No signature request for specified token","code":"not_found","requestId":"1"}`},
			[]string{"404", "400", `"not_found"`, `"no_session"`, `"requestId"`, `"id"`}},
	} {
		t.Run(name, func(t *testing.T) {
			passes := func(s said) bool {
				r := httptest.NewRequest(c.method, "http://localhost"+c.path, nil)
				r.RequestURI = ""
				response, err := (&http.Client{Transport: gateway.Described(s)}).Do(r)
				if err == nil {
					response.Body.Close()
				}
				return err == nil
			}
			if !passes(c.said) {
				t.Fatal("as it is, it does not pass")
			}
			for i := 0; i < len(c.changes); i += 2 {
				changed := c.said
				if changed.body = strings.Replace(c.body, c.changes[i], c.changes[i+1], 1); changed.body == c.body {
					t.Fatalf("%q changes nothing", c.changes[i])
				}
				if passes(changed) {
					t.Errorf("it passes with %q for %q", c.changes[i+1], c.changes[i])
				}
			}
			for _, header := range []string{"X-Undescribed", "Content-Type"} {
				changed := c.said
				changed.header = c.header.Clone()
				changed.header.Set(header, "text/plain")
				if passes(changed) && c.body != "" {
					t.Errorf("it passes with another %s", header)
				}
			}
			changed := c.said
			if changed.status = 418; passes(changed) {
				t.Error("it passes as a teapot")
			}
		})
	}
}
