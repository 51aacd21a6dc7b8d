package oauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// waitingKeys are a key set that does not come while it is asked for the kid "waiting".
type waitingKeys struct {
	KeySource
	asked chan struct{}
}

func (k waitingKeys) Key(ctx context.Context, client, kid string) (*jwks.Key, error) {
	if kid != "waiting" {
		return k.KeySource.Key(ctx, client, kid)
	}
	close(k.asked)
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// A form that waits for the key set of a client whose name it has taken gives way to the next, and is told nothing about
// that client.
func TestAFormThatIsUnprovenGivesWay(t *testing.T) {
	w := newWorld(t)
	asked := make(chan struct{})
	w.Keys, w.Forms = waitingKeys{w.Keys, asked}, intake.NewGroup("forms", MaxBody, MaxBody)
	stranger := form(forge(t, map[string]string{"alg": "RS512", "typ": "JWT", "kid": "waiting"}, w.claimsOf("acme")))
	came := make(chan answer, 1)
	go func() { came <- w.post(stranger) }()
	<-asked
	if got := w.post(form(mint(t, "acme-1", w.claimsOf("acme")))); got.status != http.StatusOK {
		t.Errorf("the next: got %d %s", got.status, got.body)
	}
	if got := <-came; got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("who gave way: got %d %s, want 503 with Retry-After", got.status, got.body)
	}
	if use := w.Forms.Pool.Use(); use.GivenUp != 1 || use.Proven+use.Unproven != 0 {
		t.Errorf("got %+v, want one given up and nothing held", use)
	}
}

// lookingKeeper looks at how a pool stands when a token is kept.
type lookingKeeper struct{ look func() }

func (l lookingKeeper) Record(context.Context, AuditRecord) error { l.look(); return nil }
func (l lookingKeeper) Err() error                                { return nil }

// Whoever has proven who they are has no share, so that nobody has to give way in the middle of getting a token.
func TestTheProvenHaveNoShareOfTheForms(t *testing.T) {
	w := newUserWorld(t)
	var held share.Use
	w.Auditor = lookingKeeper{func() { held = w.Service.Forms.Pool.Use() }}
	w.Service.Auditor = w.Auditor
	for name, ask := range map[string]func() answer{
		"by an assertion": func() answer { return w.post(form(mint(t, "acme-1", w.claimsOf("acme")))) },
		"by a secret":     func() answer { return w.redeem(w.back(t).Get("code")) },
	} {
		held = share.Use{}
		if got := ask(); got.status != http.StatusOK {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
		if held.Proven != MaxBody || held.Unproven != 0 {
			t.Errorf("%s: got %+v while the token is kept, want one proven", name, held)
		}
	}
}

// waitingProvider does not answer those who come back without a right code.
type waitingProvider struct {
	Provider
	asked chan struct{}
}

func (p waitingProvider) Redeem(ctx context.Context, way SignIn, code string) (Person, error) {
	if code == "x" {
		return p.Provider.Redeem(ctx, way, code)
	}
	close(p.asked)
	<-ctx.Done()
	return Person{}, context.Cause(ctx)
}

// Anybody can come back from a provider that is slow, with a code that is none. The next who comes back is not kept
// waiting for that.
func TestSignInsGiveWay(t *testing.T) {
	w := newUserWorld(t)
	asked := make(chan struct{})
	w.Provider, w.SignIns = waitingProvider{w.Provider, asked}, intake.NewGroup("sign_ins", 1, 1)
	stranger := w.another(nil)
	callback := strings.Replace(stranger.began(t), "code=x", "code=y", 1)
	came := make(chan *httptest.ResponseRecorder, 1)
	go func() { came <- stranger.browse(callback) }()
	<-asked
	if code := w.back(t).Get("code"); code == "" {
		t.Error("the next who came back has no code")
	}
	got := <-came
	if got.Code != http.StatusFound || w.Authorizer.SignIns.Pool.Use().GivenUp != 1 {
		t.Errorf("who gave way: got %d %s, want to be sent back to the client", got.Code, got.Body)
	}
}
