package sender

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// The environment determines all addresses, and the rest has defaults (BAR-2.10).
func TestBarsDefaults(t *testing.T) {
	for environment, host := range map[caddymodule.Environment]string{
		caddymodule.Sandbox: "sandbox.api.service.nhs.uk", caddymodule.Integration: "int.api.service.nhs.uk", caddymodule.Production: "api.service.nhs.uk",
	} {
		s := &Sender{Environment: environment, Keys: Keys{Client: "a"}, Bars: &Bars{Version: "1.2.0"}}
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		if s.Bars.BaseURL != "https://"+host+"/booking-and-referral/FHIR/R4" || time.Duration(s.Bars.Timeout) != 35*time.Second || s.Bars.Tries != 3 || s.Bars.RetryMessages {
			t.Errorf("%s: got %+v", environment, s.Bars)
		}
		if s.Accept != "application/fhir+json; version=1.2.0" {
			t.Errorf("%s: got Accept %q", environment, s.Accept)
		}
		if environment != caddymodule.Sandbox && (s.TokenURL != "https://"+host+"/oauth2/token" || s.Audience != s.TokenURL) {
			t.Errorf("%s: got token URL %s, audience %s", environment, s.TokenURL, s.Audience)
		}
	}
	own := &Sender{Environment: caddymodule.Integration, Keys: Keys{Client: "a"}, TokenURL: "https://tokens.example.nhs.uk/token"}
	if err := own.check(); err != nil || own.Audience != own.TokenURL {
		t.Errorf("a token service of one's own: got audience %s, error %v", own.Audience, err)
	}
	for version, good := range map[string]bool{
		"1.0.0": true, "1.12.345": true, "1..": false, "1.2.": false, "1.2": false, "1.2.0.1": false, "2.0.0": false, "11.0.0": false, "1.x.0": false, "1.2.0\n": false,
	} {
		s := &Sender{Environment: caddymodule.Sandbox, Bars: &Bars{Version: version}}
		if err := s.check(); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "1.x.y") {
			t.Errorf("version %q: got error %v", version, err)
		}
	}
}

// Which 401s refuse the token, so that a new one helps: those of the BaRS proxy and of API Management, compressed or
// not, but not a receiver's own (BAR-2.7).
func TestRefusesToken(t *testing.T) {
	outcome := func(code string) string {
		return `{"resourceType":"OperationOutcome","issue":[{"code":"security","details":{"coding":[{"code":"` + code + `"}]}}]}`
	}
	fault := func(code string) string {
		return `{"fault":{"faultstring":"no","detail":{"errorcode":"` + code + `"}}}`
	}
	for body, of := range map[string]bool{
		outcome("SEND_UNAUTHORIZED"):                        true,
		fault("keymanagement.service.access_token_expired"): true,
		fault("keymanagement.service.invalid_access_token"): true,
		outcome("REC_UNAUTHORIZED"):                         false,
		outcome("send_unauthorized"):                        false,
		fault("keymanagement.service.invalid_api_key"):      false,
		fault("oauth.v2.access_token_expired"):              false,
		"SEND_UNAUTHORIZED":                                 false,
		"":                                                  false,
	} {
		for _, packed := range []bool{false, true} {
			held := &heldAnswer{ResponseWriter: httptest.NewRecorder(), header: http.Header{}}
			text := []byte(body)
			if packed {
				var to bytes.Buffer
				zip := gzip.NewWriter(&to)
				_, _ = zip.Write(text)
				if err := zip.Close(); err != nil {
					t.Fatal(err)
				}
				text = to.Bytes()
				held.Header().Set("Content-Encoding", "gzip")
			}
			held.WriteHeader(http.StatusUnauthorized)
			_, _ = held.Write(text)
			if held.refusesToken() != of {
				t.Errorf("%s, compressed %v: want refusesToken %v", body, packed, of)
			}
		}
	}
}

// The sandbox takes no token: none is requested, and the application's own is not forwarded.
func TestSandboxTakesNoToken(t *testing.T) {
	s := &Sender{Environment: caddymodule.Sandbox, Replay: defaultReplay, bodies: intake.NewGroup("sender", 1<<20, 0)}
	r := httptest.NewRequest(http.MethodGet, "/Slot", nil)
	r.Header.Set("Authorization", "Bearer mine")
	sent := false
	if err := s.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		sent = r.Header.Get("X-Request-Id") != "" && r.Header.Values("Authorization") == nil
		return nil
	})); err != nil || !sent {
		t.Errorf("got error %v, headers %v", err, r.Header)
	}
}

// FHIR resources in headers are in padded standard base64 (BAR-2.5) and must have the right type.
func TestResourceHeaders(t *testing.T) {
	for _, name := range []string{"a", "ab", "abc", "???>>>~~~"} {
		resource := `{"resourceType":"Organization","name":"` + name + `"}`
		got, err := resourceHeader("Organization", resource)
		if err != nil || got != base64.StdEncoding.EncodeToString([]byte(resource)) {
			t.Errorf("%s: got %s, error %v", name, got, err)
		}
	}
	file := filepath.Join(t.TempDir(), "organisation.json")
	if err := os.WriteFile(file, []byte("{\n \"resourceType\": \"Organization\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := resourceHeader("Organization", "{file."+file+"}"); err != nil || got != "eyJyZXNvdXJjZVR5cGUiOiJPcmdhbml6YXRpb24ifQ==" {
		t.Errorf("from a file: got %s, error %v", got, err)
	}
	for _, bad := range []string{`{"resourceType":"Device"}`, `{"name":"a"}`, `{`, `"Organization"`, "{file." + file + ".none}"} {
		if _, err := resourceHeader("Organization", bad); err == nil {
			t.Errorf("%s: got no error, want a refusal", bad)
		}
	}
}

// A supplier's request uses the key of its provider, whatever placeholder names the provider, and never another's.
func TestProviderOfRequest(t *testing.T) {
	one, two := &oauth.Source{}, &oauth.Source{}
	r := httptest.NewRequest(http.MethodGet, "http://one/two/Slot", nil)
	r.Header.Set("X-Provider", "two")
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), nil)
	for by, want := range map[string]*oauth.Source{
		"{http.request.host}": one, "{http.request.uri.path.0}": two, "{http.request.header.X-Provider}": two,
		"{http.request.uri.path.1}": nil, "{http.request.header.X-None}": nil, "{nothing}": nil,
	} {
		s := &Sender{Provider: by, Providers: map[string]*Keys{"one": {}, "two": {}}, sources: map[string]*oauth.Source{"one": one, "two": two}}
		if got, err := s.sourceFor(r); got != want || (err != nil) != (want == nil) {
			t.Errorf("provider_by %s: got source %p, error %v", by, got, err)
		}
	}
}

// The next key has its own kid and time of publication, and is used an hour after that.
func TestNextKey(t *testing.T) {
	var keys [2]*Key
	published := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for i, signer := range senderKeys() {
		file := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(file, signer.MarshalPEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		keys[i] = &Key{KID: signer.KID(), Path: file, Published: published}
	}
	s := &Sender{TokenURL: "https://int.api.service.nhs.uk/oauth2/token", Audience: "https://int.api.service.nhs.uk/oauth2/token"}
	source, err := s.source(&caddymodule.App{}, &Keys{Client: "a", Key: keys[0], Next: keys[1]})
	if err != nil {
		t.Fatal(err)
	}
	signers, err := source.Signers(t.Context())
	if err != nil || len(signers) != 2 || signers[0].KID() != keys[0].KID || signers[1].KID() != keys[1].KID || !source.NextPublished.Equal(published) ||
		source.TokenURL != s.TokenURL || source.Audience != s.Audience || source.ClientID != "a" {
		t.Errorf("got error %v, signers %v, options %+v", err, signers, source.SourceOptions)
	}
	if source, err := s.source(&caddymodule.App{}, &Keys{Client: "a", Key: keys[0]}); err != nil || !source.NextPublished.IsZero() {
		t.Errorf("without a next key: got error %v", err)
	}
	same := &Key{KID: keys[0].KID, Path: keys[1].Path, Published: published}
	if _, err := s.source(&caddymodule.App{}, &Keys{Client: "a", Key: keys[0], Next: same}); err == nil || !strings.Contains(err.Error(), "a kid must name one key") {
		t.Errorf("two keys with one kid: got error %v", err)
	}
}
