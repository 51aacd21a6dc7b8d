// Package clients_test runs the clients of examples/clients against the built binary, through everything that a client
// has to cope with: lost answers, refusals, a forged webhook, a person who cancels.
package clients_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	person   = "555086689106"
	patience = 3 * time.Minute
)

// template is a gateway with a Signing Service, one that gives up soon, and one that demands a user. Each language has a
// client that is told by webhook, and a quiet one that is not.
const template = `{
` + gateway.Options + `	countersign {
		environment int
		store badger
		openid http://localhost:{$PORT_GATEWAY}/openid {
			client_id gateway
			secret mock-secret
		}
%[1]s		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service urn:nhsd:apim:user-nhs-cis2:aal3:signing-service
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing/* {
		signing_service {
			public_url %[2]s/signing
			%[3]s
		}
	}
	handle_path /brief/* {
		signing_service {
			public_url %[2]s/brief
			sign_within 1s
			%[3]s
		}
	}
	handle_path /users/* {
		signing_service {
			public_url %[2]s/users
			user required
			%[3]s
		}
	}
	handle_path /oauth2/* {
		apim_authorize {
			public_url %[2]s/oauth2
		}
		apim_token {
			public_url %[2]s/oauth2
		}
	}
	handle_path /openid/* {
		openid_mock {
			public_url http://localhost:{$PORT_GATEWAY}/openid
			person ` + person + ` "Dr Alice Made-Up" 3
			client kit {
				secret mock-secret
				redirect_uri http://localhost:9/signed-in
			}
		}
	}
}

https://localhost:{$PORT_AGENT} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`

const service = `access bearer
			mock https://localhost:{$PORT_AGENT} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}`

// world is a gateway behind a proxy that loses and refuses what it is told to.
type world struct {
	*gateway.Gateway
	proxy *proxy
	key   gateway.Key
	ports map[string]int // where a language's client listens
}

func newWorld(t *testing.T, languages []string) *world {
	t.Helper()
	w := &world{proxy: newProxy(t), key: gateway.NewKey(t, 4096), ports: map[string]int{}}
	var clients strings.Builder
	for _, language := range languages {
		port := gateway.FreePort(t)
		w.ports[language] = port
		for name, webhook := range map[string]string{language: fmt.Sprintf("webhook http://localhost:%d/webhook", port), language + "-quiet": ""} {
			fmt.Fprintf(&clients, `		client %s {
			key kit-1 %s
			callback http://localhost:%d/signed
			algorithms RS1 RS256
			products signing
			audience kit
			%s
		}
`, name, w.key.Public, port, webhook)
		}
	}
	w.Gateway = gateway.Start(t, fmt.Sprintf(template, clients.String(), w.proxy.url, service))
	w.proxy.forwardTo(w.URL("GATEWAY", ""))
	w.MustNotLog(person)
	return w
}

// proxy forwards to the gateway and plays faults, each once and in their order.
type proxy struct {
	url string

	mu     sync.Mutex
	next   string // the gateway
	faults map[string][]string
	seen   []seen
}

// seen is a request that came to the proxy.
type seen struct {
	method, path, authorization, body string

	fault  string
	status int // of the gateway's answer; 0: none came through
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	port := gateway.FreePort(t)
	p := &proxy{url: fmt.Sprintf("http://localhost:%d", port), faults: map[string][]string{}}
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), Handler: p, ReadHeaderTimeout: patience}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return p
}

func (p *proxy) forwardTo(base string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = base
}

// play sets the faults of the next requests of a method, and forgets what was seen.
func (p *proxy) play(method string, faults ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = map[string][]string{method: faults}
	p.seen = nil
}

// requests are those of a method that came since play.
func (p *proxy) requests(method string) (of []seen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.seen {
		if one.method == method {
			of = append(of, one)
		}
	}
	return of
}

// awaitPoll waits until a client has been told that its request is not signed, so that it waits for news.
func (p *proxy) awaitPoll(t *testing.T) {
	t.Helper()
	asked := func(one seen) bool { return one.status == http.StatusBadRequest }
	if !gateway.Eventually(patience, func() bool { return slices.ContainsFunc(p.requests(http.MethodGet), asked) }) {
		t.Fatalf("got %+v, want a fetch that was answered 400", p.requests(http.MethodGet))
	}
}

func (p *proxy) pop(r *http.Request) (fault, next string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := p.faults[r.Method]; len(left) > 0 && strings.Contains(r.URL.Path, "/signature") {
		fault, p.faults[r.Method] = left[0], left[1:]
	}
	return fault, p.next
}

// ServeHTTP plays the next fault: "503" and "429" are answered at once, "401" loses the token on its way to the gateway, and
// "cut" loses the gateway's answer.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, next := p.pop(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	one := seen{method: r.Method, path: r.URL.Path, authorization: r.Header.Get("Authorization"), body: string(body), fault: fault}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if strings.Contains(r.URL.Path, "/signature") {
			p.seen = append(p.seen, one)
		}
	}()
	if busy := map[string]string{"503": "unavailable", "429": "too_many"}[fault]; busy != "" {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(map[string]int{"503": 503, "429": 429}[fault])
		fmt.Fprintf(w, `{"statusCode":%s,"error":"…","code":%q,"message":"try again later","requestId":"r"}`, fault, busy)
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, next+r.URL.RequestURI(), strings.NewReader(string(body)))
	if err != nil {
		return
	}
	request.Header = r.Header.Clone()
	if fault == "401" {
		request.Header.Del("Authorization")
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || fault == "cut" {
		panic(http.ErrAbortHandler) // as a lost connection is
	}
	one.status = response.StatusCode
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(answer)
}

// idToken has the person sign in at the stand-in provider, as a client that does so by itself.
func (w *world) idToken(t *testing.T) string {
	t.Helper()
	const redirect = "http://localhost:9/signed-in"
	base := w.URL("GATEWAY", "/openid")
	verifier := strings.Repeat("v", 43)
	challenge, err := gateway.Run([]byte(verifier), "sh", "-c", "openssl dgst -sha256 -binary | openssl base64 -A | tr '+/' '-_' | tr -d '='")
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(gateway.NewPerson(t).Press(base, "/authorize", url.Values{
		"client_id": {"kit"}, "redirect_uri": {redirect}, "username": {person}, "nonce": {"n"}, "code_challenge": {string(challenge)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.PostForm(base+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"kit"}, "client_secret": {"mock-secret"}, "redirect_uri": {redirect},
		"code": {back.Query().Get("code")}, "code_verifier": {verifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		IDToken string `json:"id_token"`
	}
	gateway.Answer{Status: response.StatusCode, Body: body}.JSON(t, &got)
	if got.IDToken == "" {
		t.Fatalf("the provider answered %d %s, want an ID token", response.StatusCode, body)
	}
	file := filepath.Join(t.TempDir(), "id_token")
	if err := os.WriteFile(file, []byte(got.IDToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run is a client at work.
type run struct {
	*gateway.Process
	t   *testing.T
	dir string // where it leaves what was signed
}

// start runs a client over payloads. Settings are those of its environment that differ.
func (w *world) start(t *testing.T, command []string, client string, payloads []gateway.Payload, settings ...string) *run {
	t.Helper()
	dir := t.TempDir()
	args := command[1:len(command):len(command)]
	for _, payload := range payloads {
		file := filepath.Join(dir, payload.ID+".xml")
		if err := os.WriteFile(file, unbase64(t, payload.Payload), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	cmd := exec.Command(command[0], args...)
	cmd.Dir = dir
	language, _, _ := strings.Cut(client, "-")
	cmd.Env = append(os.Environ(),
		"SIGNING_URL="+w.proxy.url+"/signing", "TOKEN_URL="+w.proxy.url+"/oauth2/token", "CLIENT_ID="+client,
		"KEY="+w.key.Private, "KID=kit-1", "SUB="+person, "LISTEN="+fmt.Sprint(w.ports[language]), "POLL=600")
	cmd.Env = append(cmd.Env, settings...)
	return &run{gateway.Launch(t, cmd), t, dir}
}

// said waits for a line that begins with a word, and returns the rest of it.
func (r *run) said(word string) string {
	r.t.Helper()
	var rest string
	if !gateway.Eventually(patience, func() bool { rest = after(r.Output(), word); return rest != "" || !r.Running() }) || rest == "" {
		r.t.Fatalf("got %q, want a line %q", r.Output(), word)
	}
	return rest
}

// ends waits for the end and holds it to an exit code and to words of the output.
func (r *run) ends(code int, words ...string) {
	r.t.Helper()
	if got := r.Wait(patience); got != code {
		r.t.Fatalf("got exit code %d, want %d: %s", got, code, r.Output())
	}
	for _, word := range words {
		if !strings.Contains(r.Output(), word) {
			r.t.Errorf("got %q, want %q in it", r.Output(), word)
		}
	}
}

func after(output, word string) string {
	for line := range strings.Lines(output) {
		if rest, found := strings.CutPrefix(line, word+" "); found && strings.HasSuffix(line, "\n") {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func unbase64(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatalf("not base64: %v", err)
	}
	return data
}

func address(port int, path string) string { return fmt.Sprintf("http://localhost:%d%s", port, path) }

func now() string { return fmt.Sprint(time.Now().Unix()) }
