package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

const (
	baseURL  = "https://gateway.example/signing-service"
	origin   = "https://gateway.example"
	person   = "555086689106"
	acme     = "acme-epr"
	kid      = "acme-1"
	callback = "https://epr.example/signed?from=gateway"
	patience = time.Minute // of a test that waits for a run; a loaded machine is slow
)

// A client's key takes seconds to make, so all tests share one, and one that nobody registered.
var (
	clientKey   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(4096) })
	strangerKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(4096) })
)

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// clock is one that stands still until it is told to go on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// faultyStore fails as it is told to.
type faultyStore struct {
	store.Store
	mu     sync.Mutex
	get    func(keys []string) error
	commit func(store.Batch) error
}

func (f *faultyStore) fail(get func([]string) error, commit func(store.Batch) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.get, f.commit = get, commit
}

func (f *faultyStore) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	f.mu.Lock()
	get := f.get
	f.mu.Unlock()
	if get != nil {
		if err := get(keys); err != nil {
			return nil, err
		}
	}
	return f.Store.Get(ctx, keys...)
}

func (f *faultyStore) Commit(ctx context.Context, batch store.Batch) error {
	f.mu.Lock()
	commit := f.commit
	f.mu.Unlock()
	if commit != nil {
		if err := commit(batch); err != nil {
			return err
		}
	}
	return f.Store.Commit(ctx, batch)
}

// away is the error of a store that cannot be reached.
func away() error { return fmt.Errorf("%w: test", store.ErrUnavailable) }

// keyring is a KeySource of a few keys, by client and kid.
type keyring map[string]*jwks.Key

func (k keyring) Key(_ context.Context, client, kid string) (*jwks.Key, error) {
	if client == "unreachable" {
		return nil, fmt.Errorf("%w: connection refused", jwks.ErrUnreachable)
	}
	if key, ok := k[client+"/"+kid]; ok {
		return key, nil
	}
	return nil, jwks.ErrUnknownKID
}

// logs collects what a service logs, from any goroutine.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// world is a service with all that it needs, and its one client.
type world struct {
	testing.TB
	*Service
	clock  *clock
	store  *faultyStore
	agent  *fakeAgent // the mock
	jobs   *Jobs
	logs   *logs
	access func(*http.Request) (Caller, error)
}

// newWorld makes a service with a mock agent whose CA is trusted; change may alter its options.
func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	w := &world{TB: t, clock: &clock{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}, agent: newFakeAgent(t), logs: &logs{}, jobs: NewJobs(64)}
	w.store = &faultyStore{Store: memory.New(memory.Options{Now: w.clock.Now})}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.jobs.Close(ctx)
	})
	w.Service = w.restart(change)
	return w
}

// restart makes another service over the same store, as a restarted process or another node does.
func (w *world) restart(change func(*Options)) *Service {
	w.Helper()
	key, err := jwks.KeyOf(kid, &clientKey().PublicKey)
	if err != nil {
		w.Fatal(err)
	}
	options := Options{
		Environment: "int",
		BaseURL:     func(*http.Request) (string, error) { return baseURL, nil },
		Access: func(r *http.Request) (Caller, error) {
			if w.access != nil {
				return w.access(r)
			}
			return Caller{}, nil
		},
		Clients: map[string]Client{
			acme:          {Name: "Acme EPR", Callback: callback, Algorithms: []string{RS1, RS256, PS256}},
			"unreachable": {Callback: callback},
		},
		Keys:      keyring{acme + "/" + kid: key},
		Store:     w.store,
		Runner:    w.jobs,
		Mock:      &Route{Name: "mock", Agent: w.agent},
		Trust:     Trust{Mock: w.agent.ca.certificate},
		Durations: Durations{Heartbeat: time.Millisecond},
		Now:       w.clock.Now,
		Logger:    slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&options)
	}
	service, err := New(options)
	if err != nil {
		w.Fatal(err)
	}
	return service
}

// payload is one of a request's payloads, as it is sent.
type payload struct {
	ID      string `json:"id"`
	Payload string `json:"payload"`
}

// payloads makes n of them, each a SignedInfo that names the algorithm.
func payloads(algorithm string, n int) []payload {
	made := make([]payload, n)
	for i := range made {
		id := fmt.Sprintf("rx-%03d", i)
		made[i] = payload{ID: id, Payload: base64.StdEncoding.EncodeToString(signedInfo(algorithm, id))}
	}
	return made
}

func signedInfo(algorithm, of string) []byte {
	for uri, name := range signatureMethods {
		if name == algorithm {
			sum := sha512.Sum512_256([]byte(of))
			return fmt.Appendf(nil, `<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></CanonicalizationMethod><SignatureMethod Algorithm="%s"></SignatureMethod><Reference><Transforms><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod><DigestValue>%s</DigestValue></Reference></SignedInfo>`,
				uri, base64.StdEncoding.EncodeToString(sum[:]))
		}
	}
	panic("no such algorithm: " + algorithm)
}

// claimsFor are those of a good request.
func (w *world) claimsFor(algorithm string, n int) map[string]any {
	now := w.clock.Now().Unix()
	return map[string]any{
		"iss": acme, "sub": person, "aud": baseURL, "iat": now, "exp": now + 600, "algorithm": algorithm,
		"payloads": payloads(algorithm, n),
	}
}

func header() map[string]any { return map[string]any{"alg": "RS512", "typ": "JWT", "kid": kid} }

// with returns a copy in which one member has another value, or, with nil, is missing.
func with(of map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(of)
	if value == nil {
		delete(changed, name)
	} else {
		changed[name] = value
	}
	return changed
}

// sign makes a compact JWS with RS512, whatever its header says. header and claims are objects or JSON text.
func sign(t testing.TB, key *rsa.PrivateKey, header, claims any) string {
	t.Helper()
	segment := func(v any) string {
		text, ok := v.(string)
		if !ok {
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		return base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	input := segment(header) + "." + segment(claims)
	sum := sha512.Sum512([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA512, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (w *world) jwt(algorithm string, n int) string {
	w.Helper()
	return sign(w, clientKey(), header(), w.claimsFor(algorithm, n))
}

// failed is an error answer.
type failed struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Code       string `json:"code"`
	RequestID  string `json:"requestId"`
	Reason     *struct{ Code, Text string }
}

// post sends a signing request.
func (w *world) post(to http.Handler, jwt, query string) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(http.MethodPost, "/signaturerequest"+query, strings.NewReader(jwt))
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("X-Request-Id", "req-1")
	r.Header.Set("X-Correlation-Id", "corr-1")
	return answer(to, r)
}

func answer(from http.Handler, r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	from.ServeHTTP(recorder, r)
	return recorder
}

// accept sends a request that must be accepted.
func (w *world) accept(jwt, query string) accepted {
	w.Helper()
	got := w.post(w.Service, jwt, query)
	if got.Code != http.StatusOK {
		w.Fatalf("a good request: %d %s", got.Code, got.Body)
	}
	return read[accepted](w, got)
}

// fetch asks for a session's signatures.
func (w *world) fetch(token string) *httptest.ResponseRecorder {
	w.Helper()
	return answer(w.Service, newFetch(token))
}

func read[T any](t testing.TB, from *httptest.ResponseRecorder) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(from.Body.Bytes(), &value); err != nil {
		t.Fatalf("%d %s: %v", from.Code, from.Body, err)
	}
	return value
}

// refused is an error as a test expects it: an empty message is any.
type refused struct {
	status        int
	code, message string
}

func mustRefuse(t testing.TB, got *httptest.ResponseRecorder, want refused) {
	t.Helper()
	body := read[failed](t, got)
	if got.Code != want.status || body.Code != want.code || (want.message != "" && body.Message != want.message) {
		t.Errorf("got %d %s %q, want %+v", got.Code, body.Code, body.Message, want)
	}
	if body.StatusCode != got.Code || body.Error != http.StatusText(got.Code) || body.RequestID == "" || body.RequestID != got.Header().Get("X-Request-Id") {
		t.Errorf("the answer has another shape: %s", got.Body)
	}
	if (got.Code == http.StatusUnauthorized) != (got.Header().Get("WWW-Authenticate") != "") {
		t.Errorf("%d with WWW-Authenticate %q", got.Code, got.Header().Get("WWW-Authenticate"))
	}
	if (got.Code == http.StatusServiceUnavailable) != (got.Header().Get("Retry-After") != "") {
		t.Errorf("%d with Retry-After %q", got.Code, got.Header().Get("Retry-After"))
	}
	if got.Header().Get("Content-Type") != "application/json" || got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers of the error: %v", got.Header())
	}
}

// errRefused is an access check's answer to a caller without a token.
var errRefused error = &Error{Status: http.StatusUnauthorized, Code: "access_token", Message: "The access token is missing"}

// await polls until the condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

var errTest = errors.New("as the test wants")

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
