package command

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// post is a gateway in this process, its admin endpoint, and a client that is known there.
type post struct {
	base   string // of the signing service
	admin  string // address of the admin endpoint
	client *client.Client
}

const person = "555086689106"

func newPost(t *testing.T) *post {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	key, err := jwks.GenerateRSA(4096, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jwks.NewSigner("acme-1", key)
	if err != nil {
		t.Fatal(err)
	}
	set, err := signer.PublicSet()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "acme.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	certificate, private := pair(t, dir)
	p := &post{base: fmt.Sprintf("http://127.0.0.1:%d", port)}
	p.client = &client.Client{ID: "acme", Signer: signer, BaseURL: p.base}
	load(t, fmt.Sprintf(`{
	admin off
	auto_https off
	skip_install_trust
	countersign {
		environment int
		store memory
		client acme {
			name "Acme EPR"
			jwks %[1]s
			callback http://localhost:9/signed
		}
		client gone {
			jwks %[1]s
			callback http://localhost:9/signed
			status revoked
		}
		audit {
			off
		}
	}
}

http://127.0.0.1:%[2]d {
	signing_service {
		access open
		public_url %[3]s
		mock https://127.0.0.1:9 {
			tls_client_auth %[4]s %[5]s
			tls_trust_pool file %[4]s
		}
		certificates {
			trust mock
		}
	}
}
`, file, port, p.base, certificate, private))
	p.admin = serveAdmin(t)
	return p
}

// pair makes a certificate and its key, for an agent that is never reached.
func pair(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	certificate, key = filepath.Join(dir, "pair.crt"), filepath.Join(dir, "pair.key")
	made := newSignatory(t)
	der, err := x509.MarshalPKCS8PrivateKey(made.key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: made.certificate}, key: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// load runs a Caddyfile in this process until the test ends.
func load(t *testing.T, caddyfile string) {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// serveAdmin is what Caddy's admin endpoint does with the routes: it mounts them on a mux.
func serveAdmin(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	for _, route := range (caddymodule.Admin{}).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handler.ServeHTTP(w, r); err != nil {
				t.Error(err)
			}
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// ask gets a path of the admin endpoint.
func (p *post) ask(t *testing.T, path string, into any) (status int, body string) {
	t.Helper()
	response, err := http.Get("http://" + p.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
	}
	return response.StatusCode, string(data)
}

// request has n payloads accepted, and returns the session's id by way of the list.
func (p *post) request(t *testing.T, n int) client.Ticket {
	t.Helper()
	payloads := make([]client.Payload, n)
	for i := range payloads {
		payloads[i] = client.NewPayload(fmt.Sprint("rx-", i), []byte(t.Name()+fmt.Sprint(i)))
	}
	jwt, err := p.client.Prepare(person, client.RS256, payloads)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := p.client.Send(t.Context(), jwt, "")
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// refuse sends something that is refused, under a request id.
func (p *post) refuse(t *testing.T, id, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.base+"/signaturerequest", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/plain")
	request.Header.Set("X-Request-Id", id)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode < 400 {
		t.Fatalf("not refused: %d", response.StatusCode)
	}
}

// mustHide fails when any of the texts is in what was said.
func mustHide(t *testing.T, said string, private ...string) {
	t.Helper()
	for _, text := range private {
		if strings.Contains(said, text) {
			t.Errorf("tells %q:\n%s", text, said)
		}
	}
}
