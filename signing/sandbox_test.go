package signing

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func newTestSandbox(t testing.TB, clients map[string]Client) *Sandbox {
	t.Helper()
	s, err := NewSandbox(SandboxOptions{
		BaseURL: func(*http.Request) (string, error) { return baseURL, nil },
		Clients: clients, Version: Version{Version: "v1"}, StatusKey: "key",
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The canned answer is one that a client's verifier accepts: OpenSSL says so.
func TestSandboxSignatureVerifies(t *testing.T) {
	s := newTestSandbox(t, nil)
	got := answer(s, newFetch(SandboxToken))
	if got.Code != 200 || got.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	response := read[Response](t, got)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	decoded := func(text string) []byte {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	openssl := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	certificate := write("card.der", decoded(response.Certificate))
	key := write("card.pem", []byte(openssl("x509", "-inform", "DER", "-in", certificate, "-noout", "-pubkey")))
	subject := openssl("x509", "-inform", "DER", "-in", certificate, "-noout", "-subject", "-ext", "subjectKeyIdentifier,authorityKeyIdentifier,keyUsage")
	for _, want := range []string{"MOCK", "not for clinical use", "555086689106_", "Subject Key Identifier", "Authority Key Identifier", "Non Repudiation"} {
		if !strings.Contains(subject, want) {
			t.Errorf("the certificate does not say %q: %s", want, subject)
		}
	}
	if len(response.Signatures) != 1 || response.Signatures[0].ID != SandboxToken {
		t.Fatalf("signatures %+v", response.Signatures)
	}
	signature := write("signature", decoded(response.Signatures[0].Signature))
	payload := filepath.Join("sandbox", "payload.xml")
	if out := openssl("dgst", "-sha256", "-verify", key, "-signature", signature, payload); !strings.Contains(out, "Verified OK") {
		t.Errorf("openssl says %s", out)
	}
	if uri, named := methodOf(sandboxPayload); !named || signatureMethods[uri] != RS256 || len(sandboxPayload) != 541 {
		t.Errorf("the payload names %q in %d bytes", uri, len(sandboxPayload))
	}
}

// The fixed tokens that stand for the rows of the error table (SIG-7.3).
func TestSandboxTokens(t *testing.T) {
	s := newTestSandbox(t, nil)
	const zeros = "00000000-0000-4000-8000-000000000"
	for token, want := range map[string]refused{
		zeros + "001": {400, "not_opened", "Signature request has not been downloaded yet"},
		zeros + "002": {404, "not_signed", "Could not find the specified signature response"},
		zeros + "003": {410, "failed", ""},
		zeros + "004": {410, "cancelled", ""},
		zeros + "005": {410, "expired", ""},
		zeros + "401": {401, "access_token", ""},
		zeros + "503": {503, "unavailable", ""},
		zeros + "006": {404, "not_found", "No signature request for specified token"},
		base64.StdEncoding.EncodeToString([]byte(zeros + "006")): {404, "not_found", "No signature request for specified token"},
		"x": {400, "token", `Invalid request params: "token" must be a valid base64 string`},
	} {
		t.Run(token, func(t *testing.T) { mustRefuse(t, answer(s, newFetch(token)), want) })
	}
	if len(sandboxTokens)+len(sandboxErrors) != 7 {
		t.Error("a token has no row here")
	}
	for token := range sandboxTokens {
		if _, err := uuid.Parse(token); err != nil {
			t.Errorf("%s: %v", token, err)
		}
	}
	mustBe(t, answer(s, newFetch(strings.ToUpper(SandboxToken))), 200)
}

// Any well-formed request is taken, whoever signed it, and what is not well formed is refused as elsewhere.
func TestSandboxRequests(t *testing.T) {
	s := newTestSandbox(t, nil)
	w := &world{TB: t, clock: &clock{now: s.service.Now()}}
	claims := with(w.claimsFor(RS256, 2), "iss", "anybody")
	stranger := sign(t, strangerKey(), with(header(), "kid", "any"), claims)
	unsigned := stranger[:strings.LastIndexByte(stranger, '.')] + ".AAAA"
	named := sign(t, strangerKey(), header(), with(claims, "sub", "anybody at all")) // SIG-7.2
	for _, jwt := range []string{stranger, unsigned, named} {
		got := w.post(s, jwt, "?state=a+b=")
		mustBe(t, got, 200)
		if ticket := read[accepted](t, got); ticket.Token != SandboxToken || ticket.RedirectURI != baseURL+"/client?token="+SandboxToken+"&state=a+b=" {
			t.Errorf("got %+v", ticket)
		}
	}
	for name, c := range map[string]struct {
		jwt  string
		want refused
	}{
		"malformed":  {"x", refused{400, "malformed", patternMessage}},
		"alg":        {sign(t, strangerKey(), with(header(), "alg", "RS256"), claims), refused{400, "alg", ""}},
		"claims":     {sign(t, strangerKey(), header(), with(claims, "exp", 1)), refused{400, "claims", ""}},
		"payloads":   {sign(t, strangerKey(), header(), with(claims, "payloads", []payload{})), refused{400, "payloads", ""}},
		"algorithm":  {sign(t, strangerKey(), header(), with(claims, "algorithm", RS1)), refused{400, "algorithm", ""}},
		"no payload": {sign(t, strangerKey(), header(), with(claims, "payloads", nil)), refused{400, "claims", claimsPrefix + `"payloads" is required`}},
	} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, w.post(s, c.jwt, ""), c.want) })
	}
}

// The page works in the sandbox as well: opened, polled, signed, and back to the client.
func TestSandboxPage(t *testing.T) {
	address := baseURL + "/client?token=" + SandboxToken + "&state=a+b="
	for name, c := range map[string]struct {
		clients map[string]Client
		back    string
	}{
		"one client":  {map[string]Client{acme: {Callback: callback}}, callback + "&token=" + SandboxToken + "&state=a+b="},
		"no client":   {nil, baseURL + "/signatureresponse/" + SandboxToken},
		"two clients": {map[string]Client{acme: {Callback: callback}, "b": {Callback: callback}}, baseURL + "/signatureresponse/" + SandboxToken},
	} {
		t.Run(name, func(t *testing.T) {
			b := visit(t, newTestSandbox(t, c.clients), address)
			mustBe(t, b.open(address), 200)
			if b.view.State != StateOpened || !b.view.Mock || b.view.Autostart || len(b.view.Items) != 1 || b.view.Environment != "sandbox" || b.view.RedirectURI != "" {
				t.Errorf("opened it is %+v", b.view)
			}
			if seen := b.watch(); seen.State != StateOpened {
				t.Errorf("polled it is %s", seen.State)
			}
			mustBe(t, b.sign(), http.StatusAccepted)
			if b.view.State != StateSigned || b.view.Signed != 1 || b.view.RedirectURI != c.back {
				t.Errorf("signed it is %+v", b.view)
			}
			mustBe(t, b.cancel(), 200)
			if b.view.State != StateSigned {
				t.Errorf("cancelled too late it is %s", b.view.State)
			}
			mustBe(t, b.open(address), 200)
			mustBe(t, b.cancel(), 200)
			if b.view.State != StateCancelled {
				t.Errorf("cancelled it is %+v", b.view)
			}
			mustBe(t, b.sign(), http.StatusAccepted) // a press that was on its way
			if seen := b.watch(); b.view.State != StateCancelled || seen.State != StateCancelled {
				t.Errorf("after the cancel it is %s, and then %s", b.view.State, seen.State)
			}
			mustBe(t, b.open(address+"&mock=true"), 200)
			if !b.view.Autostart {
				t.Error("with mock=true it does not start by itself")
			}
			mustRefuse(t, b.call("/client/open", map[string]string{"token": "x", "query": ""}), refused{404, "not_found", ""})
			b.view.ID = "other"
			mustRefuse(t, b.sign(), refused{404, "not_found", ""})
			mustRefuse(t, b.do(httptest.NewRequest(http.MethodGet, "/client/session?id=other", nil)), refused{404, "not_found", ""})
			b.csrf = "x"
			mustRefuse(t, b.open(address), refused{403, "csrf", ""})
		})
	}
}

func TestSandboxEndpoints(t *testing.T) {
	s := newTestSandbox(t, nil)
	for path, status := range map[string]int{"/_ping": 200, "/_status": 401, "/jwks.json": 404, "/page/app.css": 200, "/": 404} {
		if got := answer(s, httptest.NewRequest(http.MethodGet, path, nil)); got.Code != status {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/_status", nil)
	r.Header.Set("apikey", "key")
	if got := answer(s, r); got.Code != 200 || !strings.Contains(got.Body.String(), `"status":"pass"`) {
		t.Errorf("status: %d %s", got.Code, got.Body)
	}
	if _, err := NewSandbox(SandboxOptions{}); err == nil {
		t.Error("a sandbox without a base URL")
	}
	if _, err := NewSandbox(SandboxOptions{BaseURL: s.BaseURL, Clients: map[string]Client{acme: {Callback: "/x"}}}); err == nil {
		t.Error("a sandbox with a callback that is no address")
	}
}
