package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

const (
	base          = "https://api.example/oauth2"
	signingScope  = ScopePrefix + "signing-service"
	bookingScope  = ScopePrefix + "booking-and-referral"
	assertionType = assertionTypeJWT
)

// The keys of the tests: made once, since making one takes long.
var keys = sync.OnceValue(func() map[string]*jwks.Signer {
	made := map[string]*jwks.Signer{}
	for _, kid := range []string{"acme-1", "acme-2", "beta-1", "stranger"} {
		private, err := jwks.GenerateRSA(2048, nil)
		if err != nil {
			panic(err)
		}
		if made[kid], err = jwks.NewSigner(kid, private); err != nil {
			panic(err)
		}
	}
	return made
})

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// keyring is a KeySource that the test fills.
type keyring struct {
	mu    sync.Mutex
	keys  map[string]map[string]*jwks.Key // by client and kid
	fails map[string]error                // by client
	asked int
}

func (k *keyring) Key(_ context.Context, client, kid string) (*jwks.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if err := k.fails[client]; err != nil {
		return nil, err
	}
	if key := k.keys[client][kid]; key != nil {
		return key, nil
	}
	return nil, jwks.ErrUnknownKID
}

func (k *keyring) set(client string, kids ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[client] = map[string]*jwks.Key{}
	for _, kid := range kids {
		k.keys[client][kid] = keys()[kid].Key()
	}
}

// world is a token service with clients, in front of a store in memory.
type world struct {
	*Service
	t     testing.TB
	clock *clock
	ring  *keyring
	store *brittle
	check *Checker
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), ring: &keyring{keys: map[string]map[string]*jwks.Key{}, fails: map[string]error{
		"keyless": jwks.ErrNoKeys, "away": fmt.Errorf("%w: refused", jwks.ErrUnreachable), "unlisted": jwks.ErrUnknownClient,
	}}}
	w.ring.set("acme", "acme-1")
	w.ring.set("beta", "beta-1")
	w.ring.set("limited", "acme-1")
	w.ring.set("scopeless", "acme-1")
	w.ring.set("weekly", "acme-1")
	w.store = &brittle{Store: memory.New(memory.Options{Now: w.clock.Now})}
	product := Client{Scopes: []string{signingScope, "urn:nhsd:apim:user-nhs-cis2:aal3:x", bookingScope}, Products: []string{"signing", "booking"}}
	limited := product
	limited.Rate = 3
	var err error
	w.Service, err = New(Options{
		BaseURL: func(*http.Request) (string, error) { return base, nil },
		Clients: map[string]Client{
			"acme": product, "beta": product, "limited": limited, "keyless": product, "away": product, "unlisted": product,
			"scopeless": {Scopes: []string{"urn:nhsd:apim:user-nhs-cis2:aal3:x"}},
		},
		Keys: w.ring, Store: w.store, Now: w.clock.Now, StatusKey: "s3cret", Version: Version{Version: "v1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check = NewChecker(w.store, w.clock.Now)
	return w
}

// brittle is a store that can be away.
type brittle struct {
	store.Store
	mu   sync.Mutex
	away error
}

func (b *brittle) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = err
}

func (b *brittle) state() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.away
}

func (b *brittle) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := b.state(); err != nil {
		return nil, err
	}
	return b.Store.Get(ctx, keys...)
}

func (b *brittle) Commit(ctx context.Context, batch store.Batch) error {
	if err := b.state(); err != nil {
		return err
	}
	return b.Store.Commit(ctx, batch)
}

// claimsOf are good claims of a client, with a fresh jti.
func (w *world) claimsOf(client string) map[string]any {
	return map[string]any{
		"iss": client, "sub": client, "aud": base + "/token", "jti": w.messageID(), "exp": w.clock.Now().Unix() + 240,
	}
}

// with is the claims with one changed; nil takes it away.
func with(claims map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(claims)
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	return changed
}

// form is a good form around an assertion.
func form(assertion string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
}

// mint signs header and claims with a key, whatever they are.
func mint(t testing.TB, key string, claims any) string {
	t.Helper()
	token, err := keys()[key].Mint(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forge makes a JWT with a header of its own; it bears no right signature.
func forge(t testing.TB, header, claims any) string {
	t.Helper()
	encode := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return encode(header) + "." + encode(claims) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 256))
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	fields map[string]any
}

// do gets an answer that is as it is described.
func (w *world) do(r *http.Request) answer {
	a, recorder := w.answer(r)
	mustBeDescribed(w.t, r, recorder)
	return a
}

func (w *world) answer(r *http.Request) (answer, *httptest.ResponseRecorder) {
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	a := answer{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
	_ = json.Unmarshal([]byte(a.body), &a.fields)
	return a, recorder
}

func (w *world) post(form url.Values) answer {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(r)
}

// token gets a token that must be given.
func (w *world) token(t testing.TB, client, kid string) string {
	t.Helper()
	a := w.post(form(mint(t, kid, w.claimsOf(client))))
	token, _ := a.fields["access_token"].(string)
	if a.status != http.StatusOK || token == "" {
		t.Fatalf("no token for %s: %d %s", client, a.status, a.body)
	}
	return token
}
