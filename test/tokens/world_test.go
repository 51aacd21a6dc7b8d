package tokens_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	signingScope  = "urn:nhsd:apim:app:level3:signing-service"
	person        = "555086689106"

	// patience is how long a busy machine may take; a test that passes never waits for it.
	patience = time.Minute
)

// keys are made once, since making one takes long. They lie in keyDir.
var keys = sync.OnceValues(func() ([]gateway.Key, error) {
	made := make([]gateway.Key, 4)
	for i := range made {
		dir := filepath.Join(keyDir, fmt.Sprint(i))
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			made[i], err = gateway.MakeKey(dir, 4096)
		}
		if err != nil {
			return nil, err
		}
	}
	return made, nil
})

var keyDir string

func TestMain(m *testing.M) {
	var err error
	if keyDir, err = os.MkdirTemp("", "countersign-tokens-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(keyDir) // of a test
	os.Exit(code)
}

// world is a gateway with a token service, routes that ask for tokens, and a Signing Service.
type world struct {
	*gateway.Gateway
	keys map[string]gateway.Key // by client
	set  string                 // the key set file of the client turning

	sites int // senders' sites made
}

// clients are those of a world, with what is particular about each.
func (w *world) clients() map[string]string {
	return map[string]string{
		"acme":    "key acme-1 " + w.keys["acme"].Public + "\n\t\t\tproducts signing\n\t\t\tcallback http://localhost:9/signed",
		"beta":    "key beta-1 " + w.keys["beta"].Public + "\n\t\t\tproducts signing\n\t\t\tcallback http://localhost:9/signed",
		"limited": "key acme-1 " + w.keys["acme"].Public + "\n\t\t\tproducts booking\n\t\t\trate 2/m",
		"turning": "jwks " + w.set + "\n\t\t\tproducts booking",
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{keys: map[string]gateway.Key{}, set: filepath.Join(t.TempDir(), "jwks.json")}
	made, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	w.keys["acme"], w.keys["beta"], w.keys["turning"] = made[0], made[1], made[2]
	w.publish(t, map[string]gateway.Key{"turning-1": w.keys["turning"]})
	w.Gateway = gateway.Start(t, w.caddyfile(""))
	w.MustNotLog(person)
	return w
}

// publish replaces the key set of the client turning, as one who publishes does: by a rename.
func (w *world) publish(t *testing.T, keys map[string]gateway.Key) {
	t.Helper()
	set := map[string][]map[string]string{"keys": {}}
	for kid, key := range keys {
		set["keys"] = append(set["keys"], key.JWK(t, kid))
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.set+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.set+".new", w.set); err != nil {
		t.Fatal(err)
	}
}

// caddyfile is the world's, with more sites.
func (w *world) caddyfile(sites string) string {
	var clients strings.Builder
	for id, lines := range w.clients() {
		fmt.Fprintf(&clients, "\n\t\tclient %s {\n\t\t\t%s\n\t\t}", id, lines)
	}
	return fmt.Sprintf(`{
`+gateway.Options+`	countersign {
		environment int
		store badger%s
		product signing {
			scopes %s
		}
		product booking {
			scopes urn:nhsd:apim:app:level3:booking-and-referral
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
			status_key s3cret
		}
	}
	handle /api/* {
		apim_bearer
		respond "hello {countersign.client} {countersign.products} [{countersign.user}]"
	}
	handle /json/* {
		apim_bearer {
			scope %s
		}
		respond "signing {countersign.scopes}"
	}
	handle /fhir/* {
		apim_bearer {
			product signing
			errors fhir
		}
		respond "fhir"
	}
	handle /shape/* {
		apim_bearer {
			user
			errors signing
		}
		respond "never"
	}
	handle_path /signing-service/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing-service
			access bearer
			mock https://localhost:{$PORT_GATEWAY} {
				`+gateway.MutualTLS+`			}
			certificates {
				trust mock
			}
		}
	}
}
%s`, clients.String(), signingScope, signingScope, sites)
}

func (w *world) tokenURL() string { return w.URL("GATEWAY", "/oauth2/token") }

// claims of a good assertion.
func (w *world) claims(client string) map[string]any {
	return map[string]any{
		"iss": client, "sub": client, "aud": w.tokenURL(), "jti": rand.Text(), "exp": time.Now().Unix() + 240,
	}
}

// assertion is a good one, made by openssl.
func (w *world) assertion(t *testing.T, client, kid string, key gateway.Key) string {
	t.Helper()
	return key.JWT(t, map[string]any{"alg": "RS512", "typ": "JWT", "kid": kid}, w.claims(client))
}

func form(assertion string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) field(name string) string {
	var fields map[string]any
	_ = json.Unmarshal([]byte(a.body), &fields)
	text, _ := fields[name].(string)
	return text
}

// client takes no answer that is not as it is described. It keeps no connection: one to the configuration before a reload,
// or to a process that was killed, would be asked as long as it seems to be there.
var client = &http.Client{Timeout: 2 * patience, Transport: gateway.Described(&http.Transport{DisableKeepAlives: true})}

// send sends a request; headers come in pairs.
func send(t testing.TB, method, address, body string, headers ...string) answer {
	t.Helper()
	a, err := exchange(client, method, address, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func exchange(client *http.Client, method, address, body string, headers ...string) (answer, error) {
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

func (w *world) post(t testing.TB, f url.Values) answer {
	t.Helper()
	return send(t, "POST", w.tokenURL(), f.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// token gets a token that must be given, and keeps an eye on it: it must not be logged.
func (w *world) token(t *testing.T, client string) string {
	t.Helper()
	key, kid := w.keys["acme"], "acme-1"
	if client == "beta" {
		key, kid = w.keys["beta"], "beta-1"
	}
	assertion := w.assertion(t, client, kid, key)
	a := w.post(t, form(assertion))
	token := a.field("access_token")
	if a.status != http.StatusOK || token == "" {
		t.Fatalf("no token for %s: %d %s", client, a.status, a.body)
	}
	w.MustNotLog(token, assertion)
	return token
}
