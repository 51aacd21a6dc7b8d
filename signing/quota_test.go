package signing

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
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

// Sessions that were there before are noticed when half of the limit was made since, and the store is asked seldom.
func TestQuotaCounts(t *testing.T) {
	clock := &clock{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
	kept := memory.New(memory.Options{Now: clock.Now})
	for i := range 2500 {
		r := store.Record{Key: sessionKey(fmt.Sprintf("%05d", i)), Index: clientIndex("c")}
		if err := kept.Commit(t.Context(), store.Batch{Then: []store.Op{{Put: &r}}}); err != nil {
			t.Fatal(err)
		}
	}
	q := &quotas{store: kept, now: clock.Now}
	admitted := 0
	for range 5000 {
		if q.admit(t.Context(), "c", 3000) == nil {
			admitted++
		}
	}
	if admitted != 1500+500 { // half unseen, then what was left
		t.Errorf("%d were admitted beside 2500 of 3000", admitted)
	}
	var e *Error
	if err := q.admit(t.Context(), "c", 3000); !errors.As(err, &e) || e.Status != http.StatusTooManyRequests {
		t.Errorf("above the limit: %v", err)
	}
	if err := q.admit(t.Context(), "other", 3000); err != nil {
		t.Errorf("another client: %v", err)
	}
	q.giveBack("c")
	if err := q.admit(t.Context(), "c", 3000); err != nil {
		t.Errorf("after one was given back: %v", err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	clock.advance(countAgain)
	if err := q.admit(t.Context(), "c", 3000); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("with the store away: %v", err)
	}
}

// What is declared and does not arrive costs little; what arrives is counted.
func TestBodiesCostWhatHasArrived(t *testing.T) {
	var all atomic.Int64
	held := &share{of: &all}
	got, err := readAtMost(strings.NewReader(strings.Repeat("a", 300_000)), 300_000, MaxBody, held)
	if err != nil || len(got) != 300_000 || all.Load() != 300_001 {
		t.Errorf("%d bytes, %v, of which %d are counted", len(got), err, all.Load())
	}
	held.release()
	if _, err = readAtMost(failingReader{errors.New("stalls")}, MaxBody, MaxBody, held); err == nil || all.Load() > firstRead {
		t.Errorf("a body that was declared and did not come counts %d", all.Load())
	}
	all.Store(maxHeld - 100_000)
	if _, err := readAtMost(strings.NewReader(strings.Repeat("a", 300_000)), -1, MaxBody, &share{of: &all}); err == nil {
		t.Error("a body that has no room is read")
	}
}
