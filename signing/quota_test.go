package signing

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// A client at its limit is refused new requests, has its old ones answered, and takes nothing from others; when
// sessions have gone there is room again.
func TestMaxSessions(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		client := o.Clients[acme]
		client.MaxSessions = 4
		o.Clients[acme] = client
	})
	var first string
	for i := range 4 {
		jwt := w.jwt(RS256, 1)
		if i == 0 {
			first = jwt
		}
		if got := w.post(w.Service, jwt, ""); got.Code != http.StatusOK {
			t.Fatalf("request %d: %d %s", i, got.Code, got.Body)
		}
		w.clock.advance(time.Second)
	}
	above := w.post(w.Service, w.jwt(RS256, 1), "")
	if above.Code != http.StatusTooManyRequests || above.Header().Get("Retry-After") != "60" || !strings.Contains(above.Body.String(), `"too_many"`) {
		t.Errorf("above the limit: %d, %v, %s", above.Code, above.Header(), above.Body)
	}
	if got := w.post(w.Service, first, ""); got.Code != http.StatusOK {
		t.Errorf("a request that was accepted before is refused: %d", got.Code)
	}
	w.clock.advance(2 * time.Hour)
	if got := w.post(w.Service, w.jwt(RS256, 1), ""); got.Code != http.StatusOK {
		t.Errorf("after the others have gone: %d %s", got.Code, got.Body)
	}
}

// quotaWorld is a store with so many sessions of the client c, and a clock.
func quotaWorld(t *testing.T, sessions int) (*memory.Store, *clock) {
	t.Helper()
	clock := &clock{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
	kept := memory.New(memory.Options{Now: clock.Now})
	for i := range sessions {
		addSession(t, kept, fmt.Sprintf("%05d", i))
	}
	return kept, clock
}

func addSession(t *testing.T, to store.Store, id string) {
	t.Helper()
	r := store.Record{Key: sessionKey(id), Index: clientIndex("c")}
	if err := to.Commit(t.Context(), store.Batch{Then: []store.Op{{Put: &r}}}); err != nil {
		t.Fatal(err)
	}
}

// What was there before the start counts, and one node never admits more than the limit.
func TestQuotaIsExactOnOneNode(t *testing.T) {
	kept, clock := quotaWorld(t, 2500)
	q := NewQuotas(kept, clock.Now)
	admitted := 0
	for i := range 5000 {
		if q.admit(t.Context(), "c", 3000) == nil {
			addSession(t, kept, fmt.Sprint("new", i))
			q.settle("c", nil)
			admitted++
		}
	}
	if admitted != 500 {
		t.Errorf("%d were admitted beside 2500 of 3000", admitted)
	}
	var e *Error
	if err := q.admit(t.Context(), "c", 3000); !errors.As(err, &e) || e.Status != http.StatusTooManyRequests {
		t.Errorf("above the limit: %v", err)
	}
	if err := q.admit(t.Context(), "other", 3000); err != nil {
		t.Errorf("another client: %v", err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	clock.advance(countAgain)
	if err := q.admit(t.Context(), "c", 3000); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("with the store away: %v", err)
	}
}

// Several nodes that all begin with nothing, and fill the limit as fast as the clock lets them.
func TestQuotaOfSeveralNodes(t *testing.T) {
	const most = 3000
	kept, clock := quotaWorld(t, 0)
	var nodes []*Quotas
	for range 4 {
		nodes = append(nodes, NewQuotas(kept, clock.Now))
	}
	made := 0
	for i := range 2 * most {
		if node := nodes[i%len(nodes)]; node.admit(t.Context(), "c", most) == nil {
			addSession(t, kept, fmt.Sprint(i))
			node.settle("c", nil)
			made++
		}
		clock.advance(time.Millisecond)
	}
	// What three others make within the pause between two counts, which is 150 ms here.
	if made < most || made > most+150 {
		t.Errorf("%d were admitted by four nodes, of %d", made, most)
	}
}

// What was admitted and certainly not made leaves its room; what may have been made does not.
func TestQuotaOfWhatFails(t *testing.T) {
	kept, clock := quotaWorld(t, 0)
	q := NewQuotas(kept, clock.Now)
	fill := func(outcome error) error {
		if err := q.admit(t.Context(), "c", 100); err != nil {
			return err
		}
		q.settle("c", outcome)
		return nil
	}
	for range 300 {
		if err := fill(&store.Conflict{}); err != nil {
			t.Fatalf("room was lost by what was not made: %v", err)
		}
	}
	for range 100 {
		if err := fill(store.ErrUnavailable); err != nil {
			t.Fatal(err)
		}
	}
	if err := fill(nil); err == nil {
		t.Error("100 of 100 may have been made, and one more is admitted")
	}
	clock.advance(countAgain)
	if err := fill(nil); err != nil {
		t.Errorf("none was made, as a count shows: %v", err)
	}
}

// Two sites of a gateway hold a client to one number together.
func TestSitesShareQuotas(t *testing.T) {
	w := newWorld(t, nil)
	shared := NewQuotas(w.store, w.clock.Now)
	limited := func(o *Options) {
		client := o.Clients[acme]
		client.MaxSessions = 4
		o.Clients[acme] = client
		o.Quotas = shared
	}
	sites := []*Service{w.restart(limited), w.restart(limited)}
	var codes []int
	for i := range 6 {
		codes = append(codes, w.post(sites[i%2], w.jwt(RS256, 1), "").Code)
		w.clock.advance(time.Second) // another JWT
	}
	if want := []int{200, 200, 200, 200, 429, 429}; !slices.Equal(codes, want) {
		t.Errorf("answers %v, want %v", codes, want)
	}
}
