package webhooks_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// receiver is a client system's end of the webhook. It keeps all that comes and answers as it is told to.
type receiver struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	server   *http.Server
	answer   http.HandlerFunc
	arrivals []arrival
	under    map[string]int // attempts under way at this moment, by id
	most     int            // of one id at one time
	held     chan struct{}  // closed: whoever is held back may go
}

type arrival struct {
	path   string
	header http.Header
	body   []byte
	at     time.Time
}

// event is the body, as its receiver reads it.
type event struct {
	ID        string
	Type      string
	Timestamp time.Time
	Data      struct {
		Token, Status, State, Client string
		Reason                       *struct{ Code, Text string }
		Audit                        *struct {
			Node, Hash string
			Number     int
		}
	}
}

func (a arrival) event(t testing.TB) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(a.body, &e); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return e
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(gateway.FreePort(t))), under: map[string]int{}, held: make(chan struct{})}
	r.up()
	t.Cleanup(r.down)
	return r
}

func (r *receiver) url(path string) string { return "http://" + r.addr + path }

// up begins to listen.
func (r *receiver) up() {
	r.t.Helper()
	listener, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: r}
	r.mu.Lock()
	r.server = server
	r.mu.Unlock()
	go server.Serve(listener)
}

// down stops to listen, as a system that is away.
func (r *receiver) down() {
	r.release()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server.Close()
}

// answers says how each POST is answered from now on; nil: by 204.
func (r *receiver) answers(with http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = with
}

// hold keeps an answer back until release.
func (r *receiver) hold(_ http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	held := r.held
	r.mu.Unlock()
	select {
	case <-held:
	case <-request.Context().Done():
	}
}

func (r *receiver) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.held)
	r.held = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // broken off: it has not arrived
	}
	id := request.Header.Get("Webhook-Id")
	r.mu.Lock()
	r.arrivals = append(r.arrivals, arrival{request.URL.Path, request.Header.Clone(), body, time.Now()})
	r.under[id]++
	r.most = max(r.most, r.under[id])
	answer := r.answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.under[id]--
	}()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, request)
}

func (r *receiver) got() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival(nil), r.arrivals...)
}

// atOneTime is how many attempts of one id were ever under way together.
func (r *receiver) atOneTime() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// await waits for so many arrivals, at least.
func (r *receiver) await(n int) []arrival {
	r.t.Helper()
	if !gateway.Eventually(patience, func() bool { return len(r.got()) >= n }) {
		r.t.Fatalf("%d arrivals, want %d", len(r.got()), n)
	}
	return r.got()
}

// of are the arrivals that tell of a token.
func (r *receiver) of(token string) (found []arrival) {
	for _, a := range r.got() {
		if a.event(r.t).Data.Token == token {
			found = append(found, a)
		}
	}
	return found
}

// verify holds an arrival against the published keys, as openssl sees it, and returns its event.
func (w *world) verify(a arrival) event {
	w.t.Helper()
	if err := gateway.IsEvent(a.body); err != nil {
		w.t.Errorf("%s is not as it is described: %v", a.body, err)
	}
	if err := w.holds(a); err != nil {
		w.t.Fatal(err)
	}
	e := a.event(w.t)
	if e.ID != a.header.Get("Webhook-Id") || e.ID != a.header.Get("Idempotency-Key") || a.header.Get("Content-Type") != "application/json" {
		w.t.Fatalf("headers %v over %s", a.header, a.body)
	}
	return e
}

// holds says what openssl has against an arrival's signature, with the published key that it names.
func (w *world) holds(a arrival) error {
	w.t.Helper()
	var set struct {
		Keys []struct{ Kid, Kty, Crv, X string }
	}
	gateway.Get(w.t, w.URL("GATEWAY", "/signing/jwks.json"), nil).JSON(w.t, &set)
	kids := strings.Fields(a.header.Get("Webhook-Key-Id"))
	signatures := slices.DeleteFunc(strings.Fields(a.header.Get("Webhook-Signature")), func(s string) bool { return strings.HasPrefix(s, "v1,") })
	if len(kids) != 1 || len(signatures) != 1 {
		w.t.Fatalf("kids %q, signatures %q", kids, signatures)
	}
	for _, key := range set.Keys {
		if key.Kid == kids[0] {
			return opensslVerify(w.t, key.X, a.header.Get("Webhook-Id")+"."+a.header.Get("Webhook-Timestamp")+"."+string(a.body), signatures[0])
		}
	}
	w.t.Fatalf("no key %q is published", kids[0])
	return nil
}

func opensslVerify(t *testing.T, x, content, signature string) error {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(x)
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := hex.DecodeString("302a300506032b6570032100") // RFC 8410
	if err != nil {
		t.Fatal(err)
	}
	encoded, isEd25519 := strings.CutPrefix(signature, "v1a,")
	value, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !isEd25519 {
		t.Fatalf("signature %q", signature)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"key": append(prefix, raw...), "content": []byte(content), "signature": value} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = gateway.Run(nil, "openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", filepath.Join(dir, "key"),
		"-in", filepath.Join(dir, "content"), "-sigfile", filepath.Join(dir, "signature"))
	return err
}
