package conformance_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestConformance: nothing differs, and nothing is skipped where the command was given everything.
func TestConformance(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	recording, junit := filepath.Join(dir, "ours.json"), filepath.Join(dir, "junit.xml")
	results, status := w.run(t, w.URL("GATEWAY", ""), "--record", recording, "--junit", junit)
	for _, r := range results {
		if r.Outcome != "same" {
			t.Errorf("%s %s: got %s %s %v, want the answer of the rule", r.Rule, r.Name, r.Outcome, r.Why, r.Differences)
		}
	}
	if status != 0 {
		t.Errorf("got exit status %d, want 0", status)
	}
	if info, err := os.Stat(recording); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("recording: got %v (%v), want mode 0600", info, err)
	}
	text, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{secret, "acme", "555086689106", "eyJ", "access_token\": \"s3"} {
		if strings.Contains(string(text), private) {
			t.Errorf("the recording has %q", private)
		}
	}
	if suites, err := os.ReadFile(junit); err != nil || !strings.Contains(string(suites), `failures="0" errors="0" skipped="0"`) {
		t.Errorf("JUnit: got %.300s (%v), want no failures, errors or skipped cases", suites, err)
	}
	if out, err := compared(t, recording, recording); err != nil || !strings.Contains(out, "0 differences") {
		t.Errorf("compared with itself: got %s (%v), want 0 differences", out, err)
	}
}

// seed is a difference that a proxy in front of the gateway makes.
type seed struct {
	id       string // of the case that has to find it
	old, new string // in the body
	header   string // removed
}

// seeds are twenty differences, each of which one case sees.
var seeds = []seed{
	{id: "TOK-1.4", old: `"token_type":"Bearer"`, new: `"token_type":"bearer"`},
	{id: "TOK-1.8", header: "Access-Control-Max-Age"},
	{id: "TOK-2.0", header: "Allow"},
	{id: "TOK-2.2", old: "grant_type is missing", new: "missing grant_type"},
	{id: "TOK-2.3", old: "unsupported_grant_type", new: "invalid_grant"},
	{id: "TOK-2.9", old: "Missing 'kid' header in client", new: "Missing kid header in client"},
	{id: "TOK-2.15", old: "unique string value such as a GUID", new: "string"},
	{id: "TOK-2.16", old: "Non-unique 'jti'", new: "Used 'jti'"},
	{id: "TOK-2.17", old: "more than 5 minutes in future", new: "too far in the future"},
	{id: "TOK-2.20", old: "please contact support to configure", new: "please register one"},
	{id: "TOK-2.27", old: `"error_description":"Not Found"`, new: `"error_description":"not found"`},
	{id: "TOK-5.6", old: "authorization_code is missing", new: "code is missing"},
	{id: "TOK-5.23", old: "Invalid state parameter.", new: "Invalid state parameter"},
	{id: "TOK-6.4", old: "Missing subject_token", new: "No subject_token"},
	{id: "TOK-6.13", old: "Missing 'aud' claim in subject_token", new: "Missing 'aud' in subject_token"},
	{id: "SIG-1.22", old: `\"alg\" must be [RS512]`, new: `\"alg\" must be one of [RS512]`},
	{id: "SIG-1.25", old: "contains a duplicate value", new: "is a duplicate"},
	{id: "SIG-4.5", old: "has not been downloaded yet", new: "was not downloaded"},
	{id: "BAR-1.16", old: "Invalid schema for NHSD-Target-Identifier header", new: "Invalid header"},
	{id: "BAR-1.17", old: "PROXY_NOT_FOUND", new: "NOT_FOUND"},
}

// TestSeededDifferences puts a proxy in front of the gateway that changes twenty answers.
func TestSeededDifferences(t *testing.T) {
	w := newWorld(t)
	proxy := httptest.NewServer(differing(t, w.URL("GATEWAY", "")))
	t.Cleanup(proxy.Close)
	recordings := []string{filepath.Join(t.TempDir(), "a.json"), filepath.Join(t.TempDir(), "b.json")}
	if _, status := w.run(t, w.URL("GATEWAY", ""), "--record", recordings[0]); status != 0 {
		t.Fatalf("the gateway itself: got exit status %d, want 0", status)
	}
	results, status := w.run(t, proxy.URL, "--record", recordings[1])
	if status != 1 {
		t.Errorf("got exit status %d, want 1", status)
	}
	var found, want []string
	for _, r := range results {
		if r.Outcome != "same" {
			found = append(found, r.Rule)
		}
	}
	for _, s := range seeds {
		want = append(want, s.id)
	}
	slices.Sort(want)
	slices.Sort(found)
	if found = slices.Compact(found); !slices.Equal(found, want) {
		t.Errorf("got differences in %v, want them in %v", found, want)
	}
	drift, err := compared(t, recordings[0], recordings[1])
	if err == nil {
		t.Error("comparing two recordings that differ: got exit status 0, want 1")
	}
	for _, s := range seeds {
		if !strings.Contains(drift, s.id) {
			t.Errorf("the drift does not name %s:\n%s", s.id, drift)
		}
	}
}

// differing is a proxy that makes the seeded differences.
func differing(t *testing.T, base string) http.Handler {
	to, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(answer *http.Response) error {
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				return err
			}
			for _, s := range seeds {
				if s.old != "" {
					body = bytes.ReplaceAll(body, []byte(s.old), []byte(s.new))
				}
				if s.header != "" {
					answer.Header.Del(s.header)
				}
			}
			answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			answer.Header.Del("Content-Length")
			return nil
		},
	}
}

// compared runs the command that compares two recordings.
func compared(t *testing.T, a, b string) (string, error) {
	t.Helper()
	out, err := exec.Command(gateway.Binary(t), "countersign", "conformance", "--compare", a, b).Output()
	return string(out), err
}

// TestRefusals: production hosts and incomplete arguments are refused before anything is sent.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--against https://api.service.nhs.uk", "is a production host"},
		{"--against https://API.service.nhs.uk.", "is a production host"},
		{"--bars https://bars-prod-x26.supplier.thirdparty.nhs.uk/FHIR/R4", "is a production host"},
		{"--against localhost", "is malformed"},
		{"", "no service given"},
		{"--against http://localhost:9 --section all", `unknown section "all"`},
		{"--against http://localhost:9 --role other=x", `unknown role "other"`},
		{"--against http://localhost:9 --rate 0", "--rate 0"},
		{"--compare /dev/null /dev/null", "is not a recording"},
	} {
		command := exec.Command(gateway.Binary(t), append([]string{"countersign", "conformance"}, strings.Fields(c.args)...)...)
		said, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(said), c.want) {
			t.Errorf("conformance %s: got %s (%v), want %q", c.args, said, err, c.want)
		}
	}
}
