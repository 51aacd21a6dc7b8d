package bars_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	base   = "/booking-and-referral/FHIR/R4"
	system = "https://fhir.nhs.uk/Id/dos-service-id"
	// patience bounds every wait, for a busy machine; a passing test never waits that long.
	patience = time.Minute
	// short is the timeout of receivers that are meant to be late, because the contract's 32 s would take too long.
	// All others have the contract's time, so that a busy machine does not matter.
	short = 2 * time.Second
)

// senderKey is shared because generating an RSA key is slow.
var senderKey = sync.OnceValues(func() (gateway.Key, error) { return gateway.MakeKey(keyDir, 4096) })

var keyDir string

func TestMain(m *testing.M) {
	var err error
	if keyDir, err = os.MkdirTemp("", "countersign-bars-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(keyDir) // left by a test
	os.Exit(code)
}

// world is a gateway with a token service and a BaRS proxy, and the test's receivers.
type world struct {
	*gateway.Gateway
	t         testing.TB
	dir       string
	key       gateway.Key
	authority *barstest.Authority
	options   string // more lines for bars_proxy
	sites     string // more of the Caddyfile
	tokens    map[string]string
	entries   map[string]string // the catalogue: value → address
	resolve   []string
}

// host returns the name of a receiver.
func host(name string) string { return "bars-int-" + name + ".test.thirdparty.nhs.uk" }

// prepare makes a world without starting the gateway.
func prepare(t testing.TB) *world {
	t.Helper()
	key, err := senderKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), key: key, authority: barstest.NewAuthority(t, "INT"), tokens: map[string]string{}, entries: map[string]string{}}
	w.authority.WriteChain(w.file("chain.pem"))
	barstest.Write(t, w.dir, "proxy", w.authority.Issue("proxy.int.test.nhs.uk"))
	return w
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// enter adds a receiver to the catalogue: at a port, with a path.
func (w *world) enter(value, host string, port int, path string) {
	w.entries[value] = fmt.Sprintf("https://%s:%d%s", host, port, path)
	if line := "resolve " + host + " 127.0.0.1"; !slices.Contains(w.resolve, line) {
		w.resolve = append(w.resolve, line)
	}
}

// publish replaces the catalogue file by a rename.
func (w *world) publish(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.file("catalogue.new"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.file("catalogue.new"), w.file("catalogue.json")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) catalogue() string {
	text, err := json.Marshal(map[string]any{"NHSD-Target-Identifier": map[string]any{system: w.entries}})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// start starts the gateway with environment variables that name a proxy for outbound requests. Nothing listens there,
// because receivers must be reached directly.
func (w *world) start() {
	w.t.Helper()
	if len(w.entries) == 0 {
		w.entries["nobody"] = "https://" + host("nobody")
	}
	w.publish(w.catalogue())
	w.Gateway = gateway.Start(w.t, w.caddyfile(), gateway.Env("HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY="))
}

func (w *world) caddyfile() string {
	return fmt.Sprintf(`{
`+gateway.Options+`	metrics
	countersign {
		environment int
		store memory
		client sender {
			key sender-1 %[1]s
			products booking-and-referral
		}
		client second {
			key sender-1 %[1]s
			products booking-and-referral
		}
		client other {
			key sender-1 %[1]s
			products something
		}
		product booking-and-referral {
			scopes urn:nhsd:apim:app:level3:booking-and-referral
		}
		product something {
			scopes urn:nhsd:apim:app:level3:something
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
	}
	%[2]s
}
%[3]s`, w.key.Public, w.proxy("status_key s3cret"), w.sites)
}

// proxy returns the site's bars_proxy with more lines.
func (w *world) proxy(lines ...string) string {
	return fmt.Sprintf("handle_path %s/* {\n\t\t%s\n\t}", base, w.whole(lines...))
}

// whole returns a bars_proxy that has its site to itself, with more lines.
func (w *world) whole(lines ...string) string {
	lines = append(append(lines, w.resolve...), w.options, "rate_overall 1000/s") // tests do not wait for the next second
	return fmt.Sprintf(`bars_proxy {
			catalogue %s 100ms
			tls_client_auth %s %s
			tls_trust_pool file %s
			%s
		}`, w.file("catalogue.json"), w.file("proxy.pem"), w.file("proxy.key"), w.file("chain.pem"), strings.Join(lines, "\n\t\t\t"))
}

// impatient adds a site, IMPATIENT, whose proxy has a short timeout.
func (w *world) impatient() {
	w.sites += "\nhttp://localhost:{$PORT_IMPATIENT} {\n\t" + w.proxy("timeout "+short.String()) + "\n}\n"
}

// at redirects a request to another site.
func (w *world) at(site string, r *http.Request) *http.Request {
	w.t.Helper()
	r.URL.Host = "localhost:" + w.Port(site)
	return r
}

// token returns an access token of a client, requested once.
func (w *world) token(id string) string {
	w.t.Helper()
	if w.tokens[id] != "" {
		return w.tokens[id]
	}
	address := w.URL("GATEWAY", "/oauth2/token")
	assertion := w.key.JWT(w.t, map[string]any{"alg": "RS512", "typ": "JWT", "kid": "sender-1"}, map[string]any{
		"iss": id, "sub": id, "aud": address, "jti": rand.Text(), "exp": time.Now().Unix() + 240,
	})
	response, err := client.PostForm(address, url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var said struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil || said.Token == "" {
		w.t.Fatalf("token for %s: got status %d, error %v", id, response.StatusCode, err)
	}
	w.tokens[id] = said.Token
	w.MustNotLog(said.Token, assertion)
	return said.Token
}

// target returns a receiver's NHSD-Target-Identifier.
func target(value string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"system":%q,"value":%q}`, system, value))
}

// call returns a correct request, which tests change.
func (w *world) call(method, path, value string, body io.Reader) *http.Request {
	w.t.Helper()
	r, err := http.NewRequest(method, w.URL("GATEWAY", base+path), body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token("sender"))
	r.Header.Set("X-Request-Id", rand.Text())
	r.Header.Set("X-Correlation-Id", rand.Text())
	r.Header.Set("NHSD-Target-Identifier", target(value))
	return r
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// outcome returns an OperationOutcome's "issue code / detail code" and its text.
func (a answer) outcome() (codes, words string) {
	var said struct {
		ResourceType string `json:"resourceType"`
		Issue        []struct {
			Code    string `json:"code"`
			Details struct {
				Coding []struct {
					Code string `json:"code"`
				} `json:"coding"`
			} `json:"details"`
			Diagnostics string `json:"diagnostics"`
		} `json:"issue"`
	}
	if json.Unmarshal(a.body, &said) != nil || said.ResourceType != "OperationOutcome" || len(said.Issue) == 0 || len(said.Issue[0].Details.Coding) == 0 {
		return "", ""
	}
	return said.Issue[0].Code + " / " + said.Issue[0].Details.Coding[0].Code, said.Issue[0].Diagnostics
}

// client fails a test on any answer that does not match its description.
var client = &http.Client{
	Timeout: 2 * patience,
	Transport: gateway.Described(&http.Transport{
		DisableKeepAlives: true, DisableCompression: true, ExpectContinueTimeout: patience,
	}),
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func send(t testing.TB, r *http.Request) answer {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, body}
}

// line waits for the log line about a request and returns it.
func (w *world) line(message, id string) map[string]any {
	w.t.Helper()
	var found map[string]any
	if !gateway.Eventually(patience, func() bool {
		for line := range strings.Lines(w.Output()) {
			var read map[string]any
			if json.Unmarshal([]byte(line), &read) == nil && read["msg"] == message && read["request_id"] == id {
				found = read
			}
		}
		return found != nil
	}) {
		w.t.Fatalf("no line %q about %s in the log", message, id)
	}
	return found
}

func contains(list []byte, text string) bool { return bytes.Contains(list, []byte(text)) }
