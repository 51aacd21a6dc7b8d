package signing

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Every row of the table of GET /signatureresponse/{token} (SIG-4.3 to SIG-4.7) but those of the states
// that a run brings about, which stand with the runs.
func TestResponseErrors(t *testing.T) {
	w := newWorld(t, nil)
	malformed := refused{400, "token", `Invalid request params: "token" must be a valid base64 string`}
	unknown := refused{404, "not_found", "No signature request for specified token"}
	ticket := w.accept(w.jwt(RS256, 1), "")
	for token, want := range map[string]refused{
		"":                               malformed,
		"x":                              malformed,
		ticket.Token + "/":               malformed,
		"%7B" + ticket.Token[1:] + "%7D": malformed,
		strings.ReplaceAll(ticket.Token, "-", ""):               malformed,
		"f523a772-24f2-45d6-a8da-59b48de0231g":                  malformed,
		"f523a772-24f2-45d6-a8da-59b48de0231a":                  unknown,
		sessionID([16]byte{}):                                   malformed,
		ticket.Token:                                            {400, "not_opened", "Signature request has not been downloaded yet"},
		strings.ToUpper(ticket.Token):                           {400, "not_opened", "Signature request has not been downloaded yet"},
		base64.StdEncoding.EncodeToString([]byte(ticket.Token)): {400, "not_opened", "Signature request has not been downloaded yet"},
		base64.StdEncoding.EncodeToString([]byte("f523a772-24f2-45d6-a8da-59b48de0231a")):    unknown,
		base64.RawURLEncoding.EncodeToString([]byte("f523a772-24f2-45d6-a8da-59b48de0231a")): unknown,
		base64.StdEncoding.EncodeToString([]byte("f523a772-24f2-45d6-a8da-59b48de0231")):     malformed,
		base64.StdEncoding.EncodeToString([]byte("f523a772-24f2-45d6-a8da-59b48de0231aa")):   malformed,
		base64.StdEncoding.EncodeToString([]byte("no UUID, in thirty-six characters...")):    malformed,
	} {
		t.Run(token, func(t *testing.T) { mustRefuse(t, w.fetch(token), want) })
	}
	b := visit(t, w.Service, ticket.RedirectURI)
	b.open(ticket.RedirectURI)
	mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_signed", "Could not find the specified signature response"})
	w.clock.advance(30 * time.Minute)
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "expired", "The signature request has expired: This request is too old"})
	w.clock.advance(time.Hour + 29*time.Second)
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "expired", ""})
	w.clock.advance(time.Second)
	mustRefuse(t, w.fetch(ticket.Token), unknown)
	w.access = func(*http.Request) (Caller, error) { return Caller{}, errRefused }
	mustRefuse(t, w.fetch("x"), refused{401, "access_token", ""})
}

// Another client's token, or another user's, is answered as one that is not, in every state.
func TestForeignTokens(t *testing.T) {
	w := newWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	unknown := w.fetch("f523a772-24f2-45d6-a8da-59b48de0231a")
	foreign := func() {
		t.Helper()
		for _, caller := range []Caller{{Client: "other"}, {Client: "other", User: person}, {Client: acme, User: "555086689107"}} {
			w.access = func(*http.Request) (Caller, error) { return caller, nil }
			got := w.fetch(ticket.Token)
			mustRefuse(t, got, refused{404, "not_found", "No signature request for specified token"})
			if cut(got.Body.String()) != cut(unknown.Body.String()) {
				t.Errorf("a foreign token answers %s, an unknown one %s", got.Body, unknown.Body)
			}
		}
		w.access = nil
	}
	foreign()
	b.sign()
	b.settled()
	foreign()
	for _, caller := range []Caller{{}, {Client: acme}, {Client: acme, User: person}} {
		w.access = func(*http.Request) (Caller, error) { return caller, nil }
		mustBe(t, w.fetch(ticket.Token), 200)
	}
}

// cut is an error without the request's own id.
func cut(body string) string {
	before, _, _ := strings.Cut(body, `"requestId"`)
	return before
}

// Repeats give the same answer until the time is up.
func TestRepeatedFetching(t *testing.T) {
	w := newWorld(t, nil)
	seen, ticket := w.ran(RS256, 3)
	if seen.State != StateSigned {
		t.Fatalf("it is %s", seen.State)
	}
	first := w.fetch(ticket.Token)
	mustBe(t, first, 200)
	if first.Header().Get("Content-Type") != "application/json" || first.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", first.Header())
	}
	w.clock.advance(time.Hour - time.Nanosecond)
	w.Service = w.restart(nil)
	if again := w.fetch(ticket.Token); again.Body.String() != first.Body.String() {
		t.Errorf("then %d %s", again.Code, again.Body)
	}
	w.clock.advance(time.Nanosecond)
	mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_found", ""})
}

func TestOnce(t *testing.T) {
	once := func(o *Options) { o.Once = true }
	t.Run("of many at the same time one gets them", func(t *testing.T) {
		w := newWorld(t, once)
		_, ticket := w.ran(RS256, 3)
		another := w.restart(once)
		answers := make([]int, 20)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() {
				from := w.Service
				if i%2 == 1 {
					from = another
				}
				answers[i] = answer(from, newFetch(ticket.Token)).Code
			})
		}
		group.Wait()
		got := map[int]int{}
		for _, status := range answers {
			got[status]++
		}
		if got[200] != 1 || got[404] != 19 {
			t.Errorf("answers: %v", got)
		}
		records, err := w.Store.Get(t.Context(), resultKey(sessionOf(t, ticket), 0))
		if err != nil || records[0].Version != 0 {
			t.Errorf("signatures are still kept: %v", err)
		}
	})
	t.Run("a refusal spends nothing", func(t *testing.T) {
		w := newWorld(t, once)
		_, ticket := w.ran(RS256, 1)
		w.access = func(*http.Request) (Caller, error) { return Caller{Client: "other"}, nil }
		mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_found", ""})
		w.access = nil
		w.store.fail(nil, func(store.Batch) error { return away() })
		mustRefuse(t, w.fetch(ticket.Token), refused{503, "unavailable", ""})
		w.store.fail(nil, nil)
		mustBe(t, w.fetch(ticket.Token), 200)
		mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_found", ""})
	})
	t.Run("a clock that is behind gives nothing away", func(t *testing.T) {
		w := newWorld(t, once)
		_, ticket := w.ran(RS256, 1)
		mustBe(t, w.fetch(ticket.Token), 200)
		w.clock.advance(-time.Second)
		mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_found", ""})
	})
	t.Run("a request sent again afterwards makes no other", func(t *testing.T) {
		w := newWorld(t, once)
		jwt := w.jwt(RS256, 1)
		ticket := w.accept(jwt, "")
		b := visit(t, w.Service, ticket.RedirectURI)
		b.open(ticket.RedirectURI)
		b.sign()
		b.settled()
		mustBe(t, w.fetch(ticket.Token), 200)
		if again := w.accept(jwt, ""); again != ticket {
			t.Errorf("got %+v", again)
		}
	})
}

// What is not whole is an error of ours, never half an answer.
func TestDamagedResults(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*store.Record)
		want   refused
	}{
		"noise":         {func(r *store.Record) { r.Value = []byte("noise") }, refused{500, "internal", ""}},
		"one item less": {func(r *store.Record) { r.Value = testPacker(t).pack(make([]item, 3))[0] }, refused{500, "internal", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			_, ticket := w.ran(RS256, 3)
			records, err := w.Store.Get(t.Context(), resultKey(sessionOf(t, ticket), 0))
			if err != nil {
				t.Fatal(err)
			}
			c.damage(&records[0])
			if err := w.Store.Commit(t.Context(), store.Batch{Then: []store.Op{{Put: &records[0]}}}); err != nil {
				t.Fatal(err)
			}
			mustRefuse(t, w.fetch(ticket.Token), c.want)
		})
	}
}
