package signing

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// The same JWT gets the same answer for as long as its session exists, whatever became of that (SIG-1.15).
func TestTheSameRequestAgain(t *testing.T) {
	for name, become := range map[string]func(*world, accepted){
		"created": func(*world, accepted) {},
		"opened": func(w *world, a accepted) {
			mustBe(w, visit(w, w.Service, a.RedirectURI).open(a.RedirectURI), http.StatusOK)
		},
		"signed": func(w *world, a accepted) {
			b := visit(w, w.Service, a.RedirectURI)
			b.open(a.RedirectURI)
			b.sign()
			if seen := b.settled(); seen.State != StateSigned {
				w.Fatalf("it is %s", seen.State)
			}
		},
		"failed": func(w *world, a accepted) {
			w.agent.fails(&smartcard.Error{Code: smartcard.CodeMismatch, Final: true})
			b := visit(w, w.Service, a.RedirectURI)
			b.open(a.RedirectURI)
			b.sign()
			if seen := b.settled(); seen.State != StateFailed {
				w.Fatalf("it is %s", seen.State)
			}
		},
		"cancelled": func(w *world, a accepted) {
			b := visit(w, w.Service, a.RedirectURI)
			b.open(a.RedirectURI)
			mustBe(w, b.cancel(), http.StatusOK)
		},
		"the JWT expired":     func(w *world, _ accepted) { w.clock.advance(12 * time.Minute) },
		"the session expired": func(w *world, _ accepted) { w.clock.advance(31 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			jwt := w.jwt(RS256, 2)
			first := w.accept(jwt, "?state=a+b=")
			become(w, first)
			if again := w.accept(jwt, "?state=a+b="); again != first {
				t.Errorf("got %+v, and before %+v", again, first)
			}
			for _, query := range []string{"?state=other", "", "?state=a%2Bb="} {
				mustRefuse(t, w.post(w.Service, jwt, query), refused{409, "replayed", ""})
			}
			mustRefuse(t, w.post(w.Service, sign(t, strangerKey(), header(), w.claimsFor(RS256, 2)), ""), refused{401, "signature", ""})
			list, err := w.Store.List(t.Context(), clientIndex(acme), "", 10)
			if err != nil || len(list) != 1 {
				t.Errorf("there are %d sessions, %v", len(list), err)
			}
		})
	}
}

// When the record of a request goes, its JWT has expired: it never makes a second session.
func TestARequestIsRememberedForAsLongAsItsJWTHolds(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Durations.Sign, o.Durations.Result, o.Durations.Lease = time.Second, time.Second, time.Second
	})
	claims := with(w.claimsFor(RS256, 1), "exp", w.clock.Now().Unix()+660)
	jwt := sign(t, clientKey(), header(), claims)
	first := w.accept(jwt, "")
	w.clock.advance(719 * time.Second)
	if again := w.accept(jwt, ""); again != first {
		t.Errorf("got %+v, and before %+v", again, first)
	}
	w.clock.advance(time.Second)
	mustRefuse(t, w.post(w.Service, jwt, ""), refused{400, "claims", ""})
}

func TestTheSameRequestFiftyTimesAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	jwt := w.jwt(RS256, 3)
	another := w.restart(nil) // a second node
	tokens := make([]string, 50)
	var group sync.WaitGroup
	for i := range tokens {
		group.Go(func() {
			to := w.Service
			if i%2 == 1 {
				to = another
			}
			if got := w.post(to, jwt, "?state=s"); got.Code == http.StatusOK {
				tokens[i] = read[accepted](w, got).Token
			}
		})
	}
	group.Wait()
	for _, token := range tokens {
		if token == "" || token != tokens[0] {
			t.Fatalf("tokens %q", tokens)
		}
	}
	list, err := w.Store.List(t.Context(), clientIndex(acme), "", 10)
	if err != nil || len(list) != 1 {
		t.Errorf("there are %d sessions, %v", len(list), err)
	}
}

// A request whose answer was lost between store and client was kept.
func TestTheSameRequestAfterALostAnswer(t *testing.T) {
	w := newWorld(t, nil)
	jwt := w.jwt(RS256, 1)
	w.store.fail(nil, func(batch store.Batch) error {
		if err := w.store.Store.Commit(t.Context(), batch); err != nil {
			return err
		}
		return away()
	})
	mustRefuse(t, w.post(w.Service, jwt, ""), refused{503, "unavailable", ""})
	w.store.fail(nil, nil)
	ticket := w.accept(jwt, "")
	mustBe(t, visit(t, w.Service, ticket.RedirectURI).open(ticket.RedirectURI), http.StatusOK)
}

// Whoever reads the store learns no token.
func TestTokensAreNotInTheStore(t *testing.T) {
	w := newWorld(t, nil)
	var kept []string
	w.store.fail(nil, func(batch store.Batch) error {
		for _, op := range batch.Then {
			kept = append(kept, op.Put.Key, string(op.Put.Value), op.Put.Index)
		}
		return nil
	})
	ticket := w.accept(w.jwt(RS256, 1), "")
	for _, text := range kept {
		if strings.Contains(text, ticket.Token) {
			t.Errorf("the token is in %q", text)
		}
	}
	if len(kept) != 9 {
		t.Errorf("kept are %d texts of records, not those of three", len(kept))
	}
}

// A client that changed its key under the same kid and signs the same content anew must not get a token that is
// nobody's.
func TestTheSameContentByAnotherKey(t *testing.T) {
	w := newWorld(t, nil)
	claims := w.claimsFor(RS256, 1)
	w.accept(sign(t, clientKey(), header(), claims), "")
	other, err := jwks.KeyOf(kid, &strangerKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	changed := w.restart(func(o *Options) { o.Keys = keyring{acme + "/" + kid: other} })
	mustRefuse(t, w.post(changed, sign(t, strangerKey(), header(), claims), ""), refused{409, "replayed", ""})
}
