package sender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

const bookingScope = oauth.ScopePrefix + "booking-and-referral"

// senderKeys are shared because generating RSA keys is slow.
var senderKeys = sync.OnceValue(func() []*jwks.Signer {
	made := make([]*jwks.Signer, 2)
	for i := range made {
		private, err := jwks.GenerateRSA(2048, nil)
		if err != nil {
			panic(err)
		}
		if made[i], err = jwks.NewSigner(fmt.Sprintf("acme-INT-%d", i+1), private); err != nil {
			panic(err)
		}
	}
	return made
})

// stage is the whole path of an application: the sender, the token service and the protected upstream, with a clock
// the test moves.
type stage struct {
	*httptest.Server // the sender
	sender           *Sender

	mu       sync.Mutex
	now      time.Time
	keys     map[string]*jwks.Key // known to the token service
	revoked  bool
	requests []*http.Request // that reached the upstream with a valid token
	bodies   []string
	answer   http.HandlerFunc // of the upstream, instead of 200

	fetches atomic.Int32
	flights atomic.Int32 // concurrent requests at the token service
	most    atomic.Int32
	refused atomic.Int32 // by the upstream
}

func (s *stage) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// Key makes the stage a key source.
func (s *stage) Key(_ context.Context, _, kid string) (*jwks.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := s.keys[kid]; key != nil {
		return key, nil
	}
	return nil, jwks.ErrUnknownKID
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{now: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), keys: map[string]*jwks.Key{"acme-INT-1": senderKeys()[0].Key()}}
	kept := memory.New(memory.Options{Now: s.Now})
	var tokenURL string
	service, err := oauth.New(oauth.Options{
		BaseURL: func(*http.Request) (string, error) { return strings.TrimSuffix(tokenURL, "/token"), nil },
		Clients: map[string]oauth.Client{"acme": {Scopes: []string{bookingScope}}},
		Keys:    s, Store: kept, Now: s.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		now := s.flights.Add(1)
		defer s.flights.Add(-1)
		for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
			continue
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(tokens.Close)
	tokenURL = tokens.URL + "/token"
	upstream := httptest.NewServer(s.upstream(kept))
	t.Cleanup(upstream.Close)
	address, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	source, err := oauth.NewSource(oauth.SourceOptions{
		TokenURL: tokenURL, ClientID: "acme", Now: s.Now, NextPublished: s.now,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return senderKeys(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.sender = &Sender{
		bodies:      intake.NewGroup("sender", 4<<20, 0),
		Environment: caddymodule.Integration, Replay: 1000, headers: map[string]string{"Accept": "application/fhir+json; version=1.2.0"},
		sources: map[string]*oauth.Source{"": source}, logger: slog.New(slog.DiscardHandler),
	}
	proxy := httputil.NewSingleHostReverseProxy(address)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Via-Sender", "yes")
		if err := s.sender.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			proxy.ServeHTTP(w, r)
			return nil
		})); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// upstream is a BaRS proxy that requires a token.
func (s *stage) upstream(kept store.Store) http.Handler {
	checker := oauth.NewChecker(kept, s.Now)
	checker.Approved = func(string) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.revoked
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := checker.Check(r.Context(), r.Header.Get("Authorization")); err != nil {
			s.refused.Add(1)
			w.Header().Set("Only-On-401", "yes")
			refuseToken(w, r, err.Error())
			return
		}
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
		answer := s.answer
		s.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		_, _ = io.WriteString(w, "done")
	})
}

// refuseToken refuses a token like a BaRS proxy (BAR-1.11, BAR-1.12).
func refuseToken(w http.ResponseWriter, r *http.Request, why string) {
	(&bars.Outcome{Status: http.StatusUnauthorized, Issue: "security", Code: "SEND_UNAUTHORIZED", Text: why, Fault: bars.FaultSender}).Write(w, r)
}

// call sends an application's request and returns the answer.
func (s *stage) call(t *testing.T, method, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/Slot?x=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func (s *stage) mustPass(t *testing.T, method, body string, headers ...string) *http.Request {
	t.Helper()
	response, text := s.call(t, method, body, headers...)
	if response.StatusCode != http.StatusOK || text != "done" || response.Header.Get("Only-On-401") != "" || response.Header.Get("Via-Sender") != "yes" {
		t.Fatalf("got status %d, headers %v, body %s", response.StatusCode, response.Header, text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.bodies[len(s.bodies)-1]; got != body {
		t.Fatalf("the upstream got the body %.40q, want %.40q", got, body)
	}
	return s.requests[len(s.requests)-1]
}

func TestSenderGivesWhatIsWanted(t *testing.T) {
	s := newStage(t)
	got := s.mustPass(t, "GET", "", "Authorization", "Bearer mine", "Accept", "*/*")
	if !strings.HasPrefix(got.Header.Get("Authorization"), "Bearer ") || got.Header.Get("Authorization") == "Bearer mine" {
		t.Errorf("got Authorization %q", got.Header.Get("Authorization"))
	}
	if got.Header.Get("Accept") != "application/fhir+json; version=1.2.0" || len(got.Header.Get("X-Request-Id")) != 36 || len(got.Header.Get("X-Correlation-Id")) != 36 {
		t.Errorf("got headers %v", got.Header)
	}
	if got = s.mustPass(t, "GET", "", "Accept", "application/fhir+xml"); got.Header.Get("Accept") != "application/fhir+xml" {
		t.Errorf("got Accept %q, want the application's own", got.Header.Get("Accept"))
	}
	got = s.mustPass(t, "POST", "x", "X-Request-Id", "r-1", "X-Correlation-Id", "c-1")
	if got.Header.Get("X-Request-Id") != "r-1" || got.Header.Get("X-Correlation-Id") != "c-1" {
		t.Errorf("got headers %v, want the application's ids", got.Header)
	}
	if s.fetches.Load() != 1 {
		t.Errorf("got %d token requests for two requests, want one", s.fetches.Load())
	}
}

// A correlation id is made for something new, never for an update.
func TestSenderInventsNoCorrelationForAnUpdate(t *testing.T) {
	message := func(reasons ...string) string {
		var codings []string
		for _, reason := range reasons {
			codings = append(codings, `{"code":"`+reason+`"}`)
		}
		return `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"MessageHeader","reason":{"coding":[` + strings.Join(codings, ",") + `]}}}]}`
	}
	for name, c := range map[string]struct {
		method, body string
		want         bool
	}{
		"a search":             {"GET", "", true},
		"a resource":           {"POST", `{"resourceType":"Appointment"}`, true},
		"a new message":        {"POST", message("new"), true},
		"an update":            {"POST", message("update"), false},
		"two reasons":          {"POST", message("new", "update"), false},
		"no reason":            {"POST", message(), false},
		"nothing we read":      {"POST", "<xml", false},
		"a resource in XML":    {"POST", `<Appointment xmlns="http://hl7.org/fhir"/>`, true},
		"a new message in XML": {"POST", `<Bundle><entry><resource><MessageHeader><reason><coding><code value="new"/></coding></reason></MessageHeader></resource></entry></Bundle>`, true},
		"an update in XML":     {"POST", `<Bundle><entry><resource><MessageHeader><reason><coding><code value="update"/></coding></reason></MessageHeader></resource></entry></Bundle>`, false},
		"a large body":         {"POST", `{"resourceType":"Appointment","x":"` + strings.Repeat("x", 1000) + `"}`, false},
		"a change":             {"PUT", `{"resourceType":"Appointment"}`, false},
		"part of a change":     {"PATCH", `{"resourceType":"Appointment"}`, false},
		"a deletion":           {"DELETE", "", false},
		"no header at all":     {"POST", `{"resourceType":"Bundle"}`, false},
		"an empty document":    {"POST", "", false},
	} {
		s := newStage(t)
		if got := s.mustPass(t, c.method, c.body); (got.Header.Get("X-Correlation-Id") != "") != c.want {
			t.Errorf("%s: got X-Correlation-Id %q", name, got.Header.Get("X-Correlation-Id"))
		}
	}
}

// An expired token, a token the upstream no longer accepts, a rotated key: the application notices nothing.
func TestSenderLifeOfATokenAndAKey(t *testing.T) {
	s := newStage(t)
	s.mustPass(t, "GET", "")
	s.add(479 * time.Second)
	s.mustPass(t, "GET", "")
	if s.fetches.Load() != 1 {
		t.Fatalf("got %d token requests within 80 %% of a token's life, want one", s.fetches.Load())
	}
	s.add(time.Second)
	s.mustPass(t, "GET", "")
	if s.fetches.Load() != 2 || s.refused.Load() != 0 {
		t.Fatalf("at 80 %%: got %d token requests, %d refusals", s.fetches.Load(), s.refused.Load())
	}
	s.add(time.Hour)
	s.mustPass(t, "GET", "")
	// An hour after its publication the next key is used; the token service does not know it yet.
	if s.fetches.Load() != 4 {
		t.Errorf("got %d token requests, want 4: one more with the next key and one with the current", s.fetches.Load())
	}
	s.mu.Lock()
	s.keys = map[string]*jwks.Key{"acme-INT-2": senderKeys()[1].Key()}
	s.mu.Unlock()
	s.add(time.Hour)
	s.mustPass(t, "POST", "rotated")
	if s.fetches.Load() != 5 {
		t.Errorf("got %d token requests after the rotation", s.fetches.Load())
	}
}

// A token that the upstream refuses is renewed, and the request is sent once more unchanged.
func TestSenderRetriesOnce(t *testing.T) {
	s := newStage(t)
	s.mustPass(t, "GET", "")
	s.sender.sources[""].Invalidate("nothing of ours")
	token := s.requests[0].Header.Get("Authorization")
	foreign, calls := atomic.Bool{}, atomic.Int32{}
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.Header.Get("Authorization") == token || foreign.Load() {
			refuseToken(w, r, "expired")
			return
		}
		_, _ = io.WriteString(w, "done")
	}
	got := s.mustPass(t, "POST", "once more", "X-Request-Id", "r-7")
	if got.Header.Get("X-Request-Id") != "r-7" || calls.Load() != 2 || s.requests[1].Header.Get("X-Request-Id") != "r-7" || s.bodies[1] != "once more" {
		t.Errorf("got %d calls, request id %q", calls.Load(), got.Header.Get("X-Request-Id"))
	}
	// Refused again, the application is told; there is no third attempt.
	foreign.Store(true)
	calls.Store(0)
	response, text := s.call(t, "POST", "x")
	if response.StatusCode != 401 || !strings.Contains(text, "SEND_UNAUTHORIZED") || calls.Load() != 2 {
		t.Errorf("got status %d after %d calls: %s", response.StatusCode, calls.Load(), text)
	}
	// A body that is not kept is sent once.
	calls.Store(0)
	if response, _ := s.call(t, "POST", strings.Repeat("x", 1001)); response.StatusCode != 401 || calls.Load() != 1 {
		t.Errorf("a large body: got status %d after %d calls", response.StatusCode, calls.Load())
	}
}

// A receiver's own 401, and any other answer, passes unchanged and causes no token request.
func TestSenderLetsAnswersThrough(t *testing.T) {
	s := newStage(t)
	s.mustPass(t, "GET", "")
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"the receiver's 401": {401, `{"resourceType":"OperationOutcome","issue":[{"code":"security","details":{"coding":[{"code":"REC_UNAUTHORIZED"}]}}]}`},
		"a 401 in HTML":      {401, "<html>"},
		"an endless 401":     {401, strings.Repeat("x", maxHeldAnswer+1)},
		"a 401 of nothing":   {401, ""},
		"forbidden":          {403, `{"issue":[{"details":{"coding":[{"code":"SEND_UNAUTHORIZED"}]}}]}`},
		"its failure":        {500, "no"},
		"created":            {201, "made"},
	} {
		calls := 0
		s.answer = func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("From", "receiver")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}
		response, text := s.call(t, "GET", "")
		if response.StatusCode != c.status || text != c.body || response.Header.Get("From") != "receiver" || calls != 1 {
			t.Errorf("%s: got status %d, body %.100s after %d calls", name, response.StatusCode, text, calls)
		}
	}
	if s.fetches.Load() != 1 {
		t.Errorf("got %d token requests", s.fetches.Load())
	}
}

// However many requests arrive at once, and whatever happens to the token meanwhile, only one token is requested at a
// time.
func TestSenderFetchesOneTokenAtATime(t *testing.T) {
	s := newStage(t)
	burst := func(want int) {
		t.Helper()
		var all sync.WaitGroup
		var good atomic.Int32
		for range 40 {
			all.Go(func() {
				if response, err := http.Get(s.URL); err == nil {
					if response.StatusCode == want {
						good.Add(1)
					}
					response.Body.Close()
				}
			})
		}
		all.Wait()
		if good.Load() != 40 {
			t.Errorf("got %d of 40 answers with status %d", good.Load(), want)
		}
	}
	burst(200)
	s.add(500 * time.Second) // due for renewal
	burst(200)
	s.add(600 * time.Second) // expired
	burst(200)
	if s.fetches.Load() != 3 || s.most.Load() != 1 {
		t.Errorf("got %d token requests, %d at one time", s.fetches.Load(), s.most.Load())
	}
	// The client is revoked: the upstream refuses every token, and each request is sent at most twice.
	s.mu.Lock()
	s.revoked = true
	s.mu.Unlock()
	burst(401)
	if s.most.Load() != 1 || s.refused.Load() > 80 {
		t.Errorf("got %d token requests at one time, %d refusals", s.most.Load(), s.refused.Load())
	}
}

func TestSenderSaysWhyNothingWasSent(t *testing.T) {
	s := newStage(t)
	s.mu.Lock()
	s.keys = nil
	s.mu.Unlock()
	response, text := s.call(t, "GET", "")
	if response.StatusCode != http.StatusBadGateway || !strings.Contains(text, "no matching public key") || len(s.requests) != 0 {
		t.Errorf("got status %d, body %s", response.StatusCode, text)
	}
}

func TestKeepBody(t *testing.T) {
	broken := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("x"), &failing{}))
	if _, err := kept(t, broken, 10); err == nil {
		t.Error("a body that breaks off: got no error")
	}
	chunked := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("12345")))
	chunked.TransferEncoding = []string{"chunked"}
	whole, err := kept(t, chunked, 5)
	if err != nil || !whole.whole || chunked.ContentLength != 5 || chunked.TransferEncoding != nil {
		t.Errorf("got body %+v, error %v", whole, err)
	}
	for range 2 {
		if got, _ := io.ReadAll(chunked.Body); string(got) != "12345" || !whole.rewind(chunked) {
			t.Errorf("got body %q", got)
		}
	}
	large := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("123456")))
	if part, err := kept(t, large, 5); err != nil || part.rewind(large) {
		t.Errorf("a larger body was kept, error %v", err)
	}
	if got, _ := io.ReadAll(large.Body); !bytes.Equal(got, []byte("123456")) {
		t.Errorf("a larger body: got %q", got)
	}
}

// kept is what keepBody makes of a request that comes alone.
func kept(t *testing.T, r *http.Request, limit int64) (*keptBody, error) {
	t.Helper()
	place, err := intake.NewGroup("sender", 1<<20, 0).Take(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer place.Release()
	return keepBody(place, r, limit)
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestSenderConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, senderKeys()[0].MarshalPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	key := &Key{KID: "a-INT-1", Path: file}
	good := Keys{Client: "api-key", Key: key}
	for name, c := range map[string]struct {
		sender Sender
		want   string
	}{
		"int":                 {Sender{Environment: caddymodule.Integration, Keys: good}, ""},
		"sandbox needs none":  {Sender{Environment: caddymodule.Sandbox}, ""},
		"another environment": {Sender{Environment: caddymodule.Integration, Keys: good, TokenURL: "https://api.service.nhs.uk/oauth2/token"}, "use an address of the same environment"},
		"another audience":    {Sender{Environment: caddymodule.Production, Keys: good, Audience: "https://INT.api.service.nhs.uk/oauth2/token"}, "use an address of the same environment"},
		"plain http":          {Sender{Environment: caddymodule.Production, Keys: good, TokenURL: "http://localhost/token"}, "is refused in production: tokens and signatures can be read"},
		"no client":           {Sender{Environment: caddymodule.Integration, Keys: Keys{Key: key}}, "add client"},
		"providers, no word":  {Sender{Environment: caddymodule.Integration, Providers: map[string]*Keys{"a": &good}}, "add provider_by"},
		"a word, no provider": {Sender{Environment: caddymodule.Integration, Keys: good, Provider: "{x}"}, "add provider <name>"},
		"two homes":           {Sender{Environment: caddymodule.Integration, Keys: good, Provider: "{x}", Providers: map[string]*Keys{"a": &good}}, "move it into a provider"},
		"provider, no client": {Sender{Environment: caddymodule.Integration, Provider: "{x}", Providers: map[string]*Keys{"a": {Key: key}}}, "provider a has no client"},
	} {
		err := c.sender.check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q", name, err, c.want)
		}
	}
	s := Sender{Environment: caddymodule.Integration, Keys: good, Organisation: `{"resourceType": "Organization", "name": "A"}`, Software: `{"resourceType":"Device"}`}
	if err := s.check(); err != nil || s.TokenURL != "https://int.api.service.nhs.uk/oauth2/token" || s.Audience != s.TokenURL {
		t.Errorf("got error %v, sender %+v", err, s)
	}
	headers, err := s.fixedHeaders()
	if err != nil || headers["NHSD-End-User-Organisation"] != "eyJyZXNvdXJjZVR5cGUiOiJPcmdhbml6YXRpb24iLCJuYW1lIjoiQSJ9" || headers["NHSD-Requesting-Software"] != "eyJyZXNvdXJjZVR5cGUiOiJEZXZpY2UifQ==" {
		t.Errorf("got headers %v, error %v", headers, err)
	}
	s.Software = s.Organisation
	if _, err := s.fixedHeaders(); err == nil || !strings.Contains(err.Error(), "FHIR Device") {
		t.Errorf("%v", err)
	}
}
