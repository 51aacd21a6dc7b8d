package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// provider is a token service that tests steer, and what it saw.
type provider struct {
	*httptest.Server
	clock *clock

	mu      sync.Mutex
	answer  func(n int, assertion string) (status int, body string)
	claims  []map[string]any
	kids    []string
	flights atomic.Int32 // requests under way
	most    atomic.Int32
	gate    chan struct{} // when not nil, a request waits for it
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{clock: newClock()}
	p.answer = func(n int, _ string) (int, string) { return 200, token(n, `"599"`) }
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// token is a good answer, with a token that tells its number.
func token(n int, life string) string {
	return fmt.Sprintf(`{"access_token":"token-%d","expires_in":%s,"token_type":"Bearer","issued_at":"1"}`, n, life)
}

func refusal(code, description string) string {
	return fmt.Sprintf(`{"error":%q,"error_description":%q,"message_id":"m-1"}`, code, description)
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := p.flights.Add(1)
	defer p.flights.Add(-1)
	for most := p.most.Load(); now > most && !p.most.CompareAndSwap(most, now); most = p.most.Load() {
		continue
	}
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	assertion := r.PostFormValue("client_assertion")
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, err := jwks.Parse([]byte(assertion)); err == nil {
		var claims map[string]any
		_ = json.Unmarshal(a.Payload(), &claims)
		p.claims, p.kids = append(p.claims, claims), append(p.kids, a.Header.KID)
	}
	status, body := p.answer(len(p.claims), assertion)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func (p *provider) steer(answer func(n int, assertion string) (int, string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *provider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.claims)
}

func (p *provider) source(t *testing.T, change func(*SourceOptions)) *Source {
	t.Helper()
	options := SourceOptions{
		TokenURL: p.URL + "/token", ClientID: "acme", Now: p.clock.Now,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return []*jwks.Signer{keys()["acme-1"]}, nil },
	}
	if change != nil {
		change(&options)
	}
	s, err := NewSource(options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustToken(t *testing.T, s *Source, want string) {
	t.Helper()
	if got, err := s.Token(t.Context()); got != want || err != nil {
		t.Fatalf("token %q (%v), want %q", got, err, want)
	}
}

func TestSourceAsksAsItShould(t *testing.T) {
	p := newProvider(t)
	s := p.source(t, func(o *SourceOptions) { o.Audience = "https://int.api.service.nhs.uk/oauth2/token" })
	mustToken(t, s, "token-1")
	claims := p.claims[0]
	id, err := uuid.Parse(claims["jti"].(string))
	if err != nil || id.Version() != 4 {
		t.Errorf("jti %v", claims["jti"])
	}
	if len(claims) != 5 || claims["iss"] != "acme" || claims["sub"] != "acme" || claims["aud"] != "https://int.api.service.nhs.uk/oauth2/token" ||
		claims["exp"] != float64(p.clock.Now().Unix()+240) {
		t.Errorf("claims %v", claims)
	}
	s.Invalidate("token-1")
	mustToken(t, s, "token-2")
	if p.claims[1]["jti"] == p.claims[0]["jti"] {
		t.Error("a jti came twice")
	}
	r := httptest.NewRequest("GET", "/", nil)
	if err := s.Authorize(t.Context(), r); err != nil || r.Header.Get("Authorization") != "Bearer token-2" {
		t.Errorf("%v %v", r.Header, err)
	}
}

func TestSourceKeepsAndRenews(t *testing.T) {
	for life, seconds := range map[string]int{`"599"`: 599, `599`: 599, `"60"`: 60, `"soon"`: 60, `null`: 60} {
		t.Run(life, func(t *testing.T) {
			p := newProvider(t)
			p.steer(func(n int, _ string) (int, string) { return 200, token(n, life) })
			s := p.source(t, nil)
			mustToken(t, s, "token-1")
			p.clock.Add(time.Duration(seconds)*time.Second*8/10 - 1)
			mustToken(t, s, "token-1")
			p.clock.Add(1)
			mustToken(t, s, "token-2")
			mustToken(t, s, "token-2")
		})
	}
}

func TestSourceUsesAnAgeingTokenWhileTheServiceIsAway(t *testing.T) {
	p := newProvider(t)
	s := p.source(t, nil)
	mustToken(t, s, "token-1")
	p.steer(func(int, string) (int, string) { return 503, "busy" })
	p.clock.Add(500 * time.Second)
	mustToken(t, s, "token-1")
	asked := p.asked()
	mustToken(t, s, "token-1")
	if p.asked() != asked {
		t.Error("asked again within a second")
	}
	p.clock.Add(99 * time.Second)
	_, err := s.Token(t.Context())
	if e, ok := errors.AsType[*TokenError](err); !ok || e.Status != 503 {
		t.Errorf("after its life: %v", err)
	}
	p.steer(func(n int, _ string) (int, string) { return 200, token(n, `"599"`) })
	p.clock.Add(time.Second)
	if got, err := s.Token(t.Context()); err != nil || got == "token-1" {
		t.Errorf("when it is back: %q %v", got, err)
	}
}

// Never more than one fetch is under way, and those who wait for it share what comes of it.
func TestSourceFetchesOnce(t *testing.T) {
	for name, fails := range map[string]bool{"a token": false, "a failure": true} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			if fails {
				p.steer(func(int, string) (int, string) { return 401, refusal("invalid_request", "no") })
			}
			gate := make(chan struct{})
			p.gate = gate
			s := p.source(t, nil)
			var all sync.WaitGroup
			var failed atomic.Int32
			for range 50 {
				all.Go(func() {
					if _, err := s.Token(context.Background()); err != nil {
						failed.Add(1)
					}
				})
			}
			close(gate)
			all.Wait()
			if n := p.asked(); n != 1 || p.most.Load() != 1 {
				t.Errorf("%d fetches, %d at once", n, p.most.Load())
			}
			if failed.Load() != map[bool]int32{false: 0, true: 50}[fails] {
				t.Errorf("%d failed", failed.Load())
			}
		})
	}
}

// Who stops waiting takes nobody along.
func TestSourceCallersComeAndGo(t *testing.T) {
	p := newProvider(t)
	gate := make(chan struct{})
	p.gate = gate
	s := p.source(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	gone, stays := make(chan error), make(chan string)
	go func() { _, err := s.Token(ctx); gone <- err }()
	for p.flights.Load() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nothing was asked")
		}
	}
	go func() { got, _ := s.Token(t.Context()); stays <- got }()
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	close(gate)
	if got := <-stays; got == "" {
		t.Error("who stayed got no token")
	}
}

func TestSourceRotation(t *testing.T) {
	p := newProvider(t)
	known := map[string]bool{"acme-1": true}
	p.steer(func(n int, assertion string) (int, string) {
		a, _ := jwks.Parse([]byte(assertion))
		if known[a.Header.KID] {
			return 200, token(n, `"599"`)
		}
		return 401, refusal("invalid_request", "Invalid 'kid' header in client_assertion JWT - no matching public key")
	})
	s := p.source(t, func(o *SourceOptions) {
		o.Signers = func(context.Context) ([]*jwks.Signer, error) {
			return []*jwks.Signer{keys()["acme-1"], keys()["acme-2"]}, nil
		}
		o.NextPublished = p.clock.Now()
	})
	used := func(want ...string) {
		t.Helper()
		got, err := s.Token(t.Context())
		s.Invalidate(got)
		if strings.Join(p.kids, " ") != strings.Join(want, " ") || err != nil {
			t.Fatalf("asked with %v (%v), want %v", p.kids, err, want)
		}
		p.kids = nil
	}
	used("acme-1")
	p.clock.Add(time.Hour - 1)
	used("acme-1")
	p.clock.Add(1)
	used("acme-2", "acme-1") // not known yet: at once back to the current one
	used("acme-1")
	p.clock.Add(time.Hour)
	known["acme-2"] = true
	used("acme-2")
	// Another refusal of the next key is no reason to fall back.
	p.steer(func(int, string) (int, string) {
		return 401, refusal("public_key error", "JWT signature verification failed")
	})
	if _, err := s.Token(t.Context()); err == nil || strings.Join(p.kids, " ") != "acme-2" {
		t.Errorf("%v, asked with %v", err, p.kids)
	}
	never := p.source(t, func(o *SourceOptions) { o.Signers = s.Signers })
	if in := never.inOrder([]*jwks.Signer{keys()["acme-1"], keys()["acme-2"]}); len(in) != 1 || in[0].KID() != "acme-1" {
		t.Error("a next key that was never published is used")
	}
}

func TestSourceRefusesOddAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"no JSON":         {200, "hello", "holds no token"},
		"no token":        {200, `{"expires_in":"599"}`, "holds no token"},
		"a line break":    {200, `{"access_token":"a\nb"}`, "holds no token"},
		"another type":    {200, `{"access_token":"a","token_type":"mac"}`, "another type"},
		"endless":         {200, strings.Repeat(" ", maxAnswer+1), "more than"},
		"a row":           {401, refusal("public_key error", "JWT signature verification failed"), "public_key error: JWT signature verification failed (message_id m-1)"},
		"a page":          {502, "<html>", "answered 502"},
		"a redirect":      {302, "", "answered 302"},
		"control letters": {400, refusal("x\r\ny", "z"), "x  y"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			p.steer(func(int, string) (int, string) { return c.status, c.body })
			if _, err := p.source(t, nil).Token(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	for name, o := range map[string]SourceOptions{
		"no URL":     {ClientID: "a", Signers: func(context.Context) ([]*jwks.Signer, error) { return nil, nil }},
		"no client":  {TokenURL: "https://x/token", Signers: func(context.Context) ([]*jwks.Signer, error) { return nil, nil }},
		"no signers": {TokenURL: "https://x/token", ClientID: "a"},
	} {
		if _, err := NewSource(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	broken := errors.New("no key")
	p := newProvider(t)
	s := p.source(t, func(o *SourceOptions) {
		o.Signers = func(context.Context) ([]*jwks.Signer, error) { return nil, broken }
	})
	if _, err := s.Token(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// The source and the service understand each other.
func TestSourceAndService(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w)
	defer server.Close()
	s, err := NewSource(SourceOptions{
		TokenURL: server.URL + "/token", Audience: base + "/token", ClientID: "acme", Now: w.clock.Now,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return []*jwks.Signer{keys()["acme-1"]}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.check.Check(t.Context(), "Bearer "+first); err != nil {
		t.Error(err)
	}
	w.clock.Add(480 * time.Second)
	if second, err := s.Token(t.Context()); err != nil || second == first {
		t.Errorf("after 80 %%: %v", err)
	}
}
