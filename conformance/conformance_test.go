package conformance

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each case has a name of its own, a rule that docs/contract defines, and the mark [ours] only if the rule has it.
func TestCasesAreRules(t *testing.T) {
	marks := map[string]string{}
	pages, err := filepath.Glob("../docs/contract/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("got %d pages of docs/contract (%v), want some", len(pages), err)
	}
	rule := regexp.MustCompile(`\*\*([A-Z]{3}-[0-9A-Z]+\.[0-9]+)\*\*`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		at := rule.FindAllSubmatchIndex(text, -1)
		for i, m := range at {
			end := len(text)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			marks[string(text[m[2]:m[3]])] = string(text[m[1]:end])
		}
	}
	seen := map[string]bool{}
	for _, c := range Cases() {
		said, defined := marks[c.Rule]
		if !defined {
			t.Errorf("%s: got a rule that docs/contract does not define", c.ID())
		}
		if c.Ours && !strings.Contains(said, "[ours]") {
			t.Errorf("%s: got a case marked as ours, want the mark [ours] in docs/contract too", c.ID())
		}
		if seen[c.ID()] {
			t.Errorf("%s: got two cases of this name, want one", c.ID())
		}
		seen[c.ID()] = true
	}
}

func TestProductionIsNeverCalled(t *testing.T) {
	for address, refused := range map[string]bool{
		"https://api.service.nhs.uk/oauth2": true, "https://API.Service.NHS.uk./oauth2": true, "https://api.service.nhs.uk:443/oauth2": true,
		"https://bars-prod-x26.supplier.thirdparty.nhs.uk/FHIR/R4": true, "https://prod.example/oauth2": true, "https://int.api.service.nhs.uk/oauth2": false,
		"https://sandbox.api.service.nhs.uk/oauth2": false, "http://localhost:8080/oauth2": false,
	} {
		for _, target := range []Target{{Tokens: address}, {Signing: address}, {BaRS: address}, {KeySet: address}} {
			if err := target.Check(); errors.Is(err, ErrProduction) != refused {
				t.Errorf("%s: got %v, want refused %v", address, err, refused)
			}
		}
	}
	for _, address := range []string{"localhost", "ftp://localhost/", "http://", "http://localhost/?x=1", "http://[::1"} {
		if err := (&Target{Tokens: address}).Check(); err == nil {
			t.Errorf("%s: got no error, want one", address)
		}
	}
	if _, err := Run(t.Context(), Target{Tokens: "https://api.service.nhs.uk/oauth2"}, Cases(), Options{}); !errors.Is(err, ErrProduction) {
		t.Errorf("a run against production: got %v, want %v", err, ErrProduction)
	}
}

func TestMatchers(t *testing.T) {
	for _, c := range []struct {
		m     Matcher
		text  string
		found bool
		fits  bool
	}{
		{Is("a"), "a", true, true}, {Is("a"), "ab", true, false}, {Is(""), "", false, false}, {Begins("a"), "ab", true, true}, {Begins("b"), "ab", true, false},
		{Matches("a+"), "aa", true, true}, {Matches("a|b"), "ab", true, false}, {Present, "x", true, true}, {Present, "", true, false}, {Present, "", false, false},
		{Absent, "", false, true}, {Absent, "x", true, false}, {anything, "", true, true}, {anything, "", false, false},
		{Matches(quote(`^[a-z]+?$ ".*"`)), `^[a-z]+?$ "value"`, true, true}, {Matches(quote(`^[a-z]+?$ ".*"`)), `abc "value"`, true, false},
	} {
		if got := c.m.fits(c.text, c.found); got != c.fits {
			t.Errorf("%s of %q (found %v): got %v, want %v", c.m, c.text, c.found, got, c.fits)
		}
	}
}

// A target without keys, secrets and clients has its cases skipped, with what is missing; none fails.
func TestSkipsWhatTheTargetLacks(t *testing.T) {
	site := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(site.Close)
	results, err := Run(t.Context(), Target{Tokens: site.URL, Signing: site.URL, BaRS: site.URL}, Cases(), Options{PerSecond: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(Cases()) {
		t.Errorf("got %d results, want one for each of %d cases", len(results), len(Cases()))
	}
	for _, r := range results {
		if r.Outcome == Skipped && r.Why == "" || r.Outcome == Failed {
			t.Errorf("%s: got %s %q, want skipped with a reason, or an answer", r.ID(), r.Outcome, r.Why)
		}
	}
	if Conforms(results) {
		t.Error("a site that answers 404 to everything: got a site that conforms, want one that does not")
	}
	if Conforms(nil) {
		t.Error("no results: got a service that conforms, want none that was not asked")
	}
}

// A recording keeps the texts of errors and the shape of the rest, and nothing that names a client or a person.
func TestRecordingHasNoSecrets(t *testing.T) {
	got := answer{status: http.StatusUnauthorized, header: http.Header{
		"Location": {"https://app.example/in?code=the-code-0123456789&state=s"}, "Set-Cookie": {"a=the-cookie"}, "Content-Type": {"application/json"},
	}, body: `{"error":"invalid_client","error_description":"client acme-client is unknown","access_token":"the-token","n":1,"list":[{"code":"x"}],"ok":true,"none":null}`}
	recording := Record(Target{Client: "acme-client"}, []Result{{Rule: "TOK-1.1", answer: got}, {Rule: "TOK-1.2"}}, time.Now())
	text, err := json.Marshal(recording)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"acme-client", "the-code", "the-cookie", "the-token"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("got %s, want it without %q", text, secret)
		}
	}
	for _, kept := range []string{"invalid_client", "client … is unknown", `"access_token":"string"`, `"n":"number"`, `"ok":"boolean"`, `"code":"x"`} {
		if !strings.Contains(string(text), kept) {
			t.Errorf("got %s, want it with %q", text, kept)
		}
	}
	if len(recording.Rows) != 1 {
		t.Errorf("got %d rows, want only the case that was answered", len(recording.Rows))
	}
}

func TestCompare(t *testing.T) {
	row := func(rule string, status int, body any) Row { return Row{Rule: rule, Status: status, Body: body} }
	a := Recording{Rows: []Row{row("A-1.1", 200, map[string]any{"x": "1"}), row("A-1.2", 200, nil), row("A-1.3", 200, nil)}}
	b := Recording{Rows: []Row{row("A-1.1", 200, map[string]any{"x": "2", "y": "3"}), row("A-1.2", 404, nil), row("A-1.4", 200, nil)}}
	want := []Drift{
		{"A-1.1", "", "body.x", "1", "2"}, {"A-1.1", "", "body.y", "nothing", "3"}, {"A-1.2", "", "status", "200 OK", "404 Not Found"},
		{"A-1.3", "", "recorded", "yes", "no"}, {"A-1.4", "", "recorded", "no", "yes"},
	}
	if got := Compare(a, b); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
