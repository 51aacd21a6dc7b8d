package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// listener is an Observer that keeps the answers.
type listener struct {
	nobody
	heard []Answer
}

func (l *listener) Answered(_ context.Context, answer Answer) { l.heard = append(l.heard, answer) }

// TestFindings holds what an operator is told of each refusal: the check, what it expected and what it got; the same
// in the log; and nothing of the person, of the payloads or of the JWT.
func TestFindings(t *testing.T) {
	heard, log := &listener{}, &bytes.Buffer{}
	w := newWorld(t, func(o *Options) {
		o.Observer, o.Logger = heard, slog.New(slog.NewJSONHandler(log, nil))
	})
	now := w.clock.Now()
	good := w.claimsFor(RS256, 1)
	signed := func(header, claims any) string { return sign(t, clientKey(), header, claims) }
	claim := func(name string, value any) string { return signed(header(), with(good, name, value)) }
	for name, c := range map[string]struct {
		jwt  string
		want Finding
	}{
		"no JWT":           {"x", Finding{Check: "form of the body", Expected: "compact form", Got: "something else"}},
		"alg":              {signed(with(header(), "alg", "RS256"), good), Finding{Check: "header alg", Expected: "RS512", Got: "RS256"}},
		"no kid":           {signed(with(header(), "kid", nil), good), Finding{Check: "header kid", Got: "nothing"}},
		"a stranger":       {claim("iss", "nobody"), Finding{Check: "claim iss", Expected: "configured", Got: "nobody"}},
		"a user as iss":    {claim("iss", person), Finding{Check: "claim iss", Got: "<digits>"}},
		"a stranger's kid": {signed(with(header(), "kid", "acme-9"), good), Finding{Client: acme, Check: "header kid", Got: "acme-9"}},
		"no key set":       {claim("iss", "unreachable"), Finding{Client: "unreachable", Check: "key set of the client"}},
		"another key": {sign(t, strangerKey(), header(), good),
			Finding{Client: acme, Check: "signature of the JWT", Expected: "kid acme-1", Got: "another key"}},
		"aud":       {claim("aud", "https://other.example"), Finding{Client: acme, Check: "claim aud", Expected: baseURL, Got: "https://other.example"}},
		"expired":   {claim("exp", now.Add(-time.Hour).Unix()), Finding{Client: acme, Check: "claim exp", Expected: "after 2026-11-22T08:59:00Z", Got: "2026-11-22T08:00:00Z"}},
		"too far":   {claim("exp", now.Add(time.Hour).Unix()), Finding{Client: acme, Check: "claim exp", Expected: "at most 2026-11-22T09:11:00Z", Got: "2026-11-22T10:00:00Z"}},
		"future":    {claim("iat", now.Add(time.Hour).Unix()), Finding{Client: acme, Check: "claim iat", Expected: "at most 2026-11-22T09:01:00Z", Got: "2026-11-22T10:00:00Z"}},
		"not yet":   {claim("nbf", now.Add(time.Hour).Unix()), Finding{Client: acme, Check: "claim nbf", Expected: "at most 2026-11-22T09:01:00Z", Got: "2026-11-22T10:00:00Z"}},
		"sub":       {claim("sub", person+"0"), Finding{Client: acme, Check: "claim sub", Expected: "twelve digits", Got: "13 bytes"}},
		"algorithm": {claim("algorithm", "HS256"), Finding{Client: acme, Check: "claim algorithm", Expected: "RS1, RS256, PS256", Got: "HS256"}},
		"mixed":     {claim("algorithm", "RS1"), Finding{Client: acme, Check: "SignatureMethod of a payload", Expected: "RS1", Got: "rsa-sha256"}},
		"payloads":  {claim("payloads", []any{}), Finding{Client: acme, Check: "payloads"}},
		"no sub":    {claim("sub", nil), Finding{Client: acme, Check: "claim sub", Got: "nothing"}},
	} {
		t.Run(name, func(t *testing.T) {
			heard.heard = nil
			log.Reset()
			w.post(w.Service, c.jwt, "")
			if len(heard.heard) != 1 {
				t.Fatalf("told %d times", len(heard.heard))
			}
			got := heard.heard[0]
			if got.Check != c.want.Check || got.Client != c.want.Client || !strings.Contains(got.Expected, c.want.Expected) || !strings.Contains(got.Got, c.want.Got) {
				t.Errorf("found %+v\nwant %+v", got.Finding, c.want)
			}
			var line map[string]any
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if line["check"] != got.Check || line["expected"] != got.Expected || line["got"] != got.Got ||
				line["client"] != got.Client || line["request_id"] != "req-1" || line["answer"] != got.Message {
				t.Errorf("logged %v", line)
			}
			told := fmt.Sprintf("%+v %s", got, log)
			for _, private := range append(strings.Split(c.jwt+"."+payloads(RS256, 1)[0].Payload, "."), person) {
				if len(private) > 1 && strings.Contains(told, private) {
					t.Errorf("tells %.30s…", private)
				}
			}
		})
	}
}

// TestFindingsOfThePage: what another site caused, and a body of the wrong type.
func TestFindingsOfThePage(t *testing.T) {
	heard := &listener{}
	w := newWorld(t, func(o *Options) { o.Observer = heard })
	r := httptest.NewRequest(http.MethodPost, "/client/open", strings.NewReader("{}"))
	r.Header.Set("Origin", "https://evil.example")
	answer(w.Service, r)
	r = httptest.NewRequest(http.MethodPost, "/signaturerequest", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	answer(w.Service, r)
	if len(heard.heard) != 2 {
		t.Fatalf("told %d times", len(heard.heard))
	}
	if got := heard.heard[0]; got.Check != "Origin" || got.Expected != origin || got.Got != "https://evil.example" {
		t.Errorf("found %+v", got.Finding)
	}
	if got := heard.heard[1]; got.Check != "Content-Type" || got.Expected != "text/plain" || got.Got != "application/json" {
		t.Errorf("found %+v", got.Finding)
	}
}

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"": "nothing", "acme": "acme", "v2.11 of 2026": "v2.11 of 2026", "x555086689106y": "x<digits>y",
		"12345678901": "12345678901", "1234567890123456": "<digits>", strings.Repeat("a", 200): strings.Repeat("a", 100) + "…",
		"\xff": "\ufffd",
	} {
		if got := quoted(in); got != want {
			t.Errorf("quoted(%q) = %q, want %q", in, got, want)
		}
	}
}
