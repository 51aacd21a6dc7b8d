package signing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

const (
	// DefaultMaxSessions is how many sessions a client may have at one time, if nothing else is said.
	DefaultMaxSessions = 100_000

	// MaxWorking bounds the requests that have arrived whole and are being checked and kept. It is far more than it
	// takes to keep processors and disk busy, so what is above it would only wait.
	MaxWorking = 1024

	countAgain = 5 * time.Second // between two counts of 100,000 sessions, at the soonest; of fewer sooner in proportion
	countPage  = 1000            // records read at a time to count them
)

// Quotas hold each client to a number of sessions at one time, those included that are over but still kept. What was
// counted in the store when the client was first seen is added to by what is made here, so that one node never admits
// more than the limit, whatever was there before its start. Sessions that other nodes make are found by counting again
// whenever a quarter of the room found last is used up, and at the limit: up to four nodes hold it as well, but for what
// they make within countAgain. All services on one store share one, else each would be a node.
type Quotas struct {
	store   store.Store
	now     func() time.Time
	clients sync.Map // of *quota by client id
}

// quota is the count of one client.
type quota struct {
	mu      sync.Mutex
	found   int       // sessions at the last count
	made    int       // since then
	flying  int       // admitted, and not known yet to be made
	counted time.Time // zero: never
}

// NewQuotas holds clients to their limits by the sessions in a store.
func NewQuotas(of store.Store, now func() time.Time) *Quotas { return &Quotas{store: of, now: now} }

func (q *Quotas) of(id string) *quota {
	value, known := q.clients.Load(id)
	if !known {
		value, _ = q.clients.LoadOrStore(id, &quota{})
	}
	return value.(*quota)
}

// admit says whether the client may have one more session. Whoever is admitted says by settle what came of it.
func (q *Quotas) admit(ctx context.Context, id string, most int) error {
	if most == 0 {
		most = DefaultMaxSessions
	}
	of := q.of(id)
	of.mu.Lock()
	defer of.mu.Unlock()
	if now := q.now(); of.stale(now, most) {
		if err := q.recount(ctx, of, id, most, now); err != nil {
			return err
		}
	}
	if has := of.found + of.made + of.flying; has >= most {
		e := failure(http.StatusTooManyRequests, "too_many",
			"This client has as many open requests as it may have (%d); let people sign them, or wait until some expire", most).
			because("sessions of the client", fmt.Sprintf("fewer than %d", most), fmt.Sprint(has))
		e.RetryAfter = time.Minute
		return e
	}
	of.flying++
	return nil
}

// recount counts anew. Where there is room left by the last count, others are admitted by that meanwhile. What is made or
// flying while it counts may have been found as well: better twice than never. The caller holds of.mu.
func (q *Quotas) recount(ctx context.Context, of *quota, id string, most int, now time.Time) error {
	last, before := of.counted, of.made
	of.counted = now // nobody else need count
	aside := !last.IsZero() && of.found+of.made+of.flying < most
	if aside {
		of.mu.Unlock()
	}
	found, err := q.count(ctx, id, most)
	if aside {
		of.mu.Lock()
	}
	switch {
	case err != nil && of.counted.Equal(now):
		of.counted = last
	case err == nil && of.counted.Equal(now): // else another count was begun later, and ended
		of.found, of.made = found, of.made-before
	}
	return err
}

// stale says whether the count could be wrong by so much that it matters.
func (of *quota) stale(now time.Time, most int) bool {
	if of.counted.IsZero() {
		return true
	}
	used, room := of.made+of.flying, most-of.found
	pause := time.Duration(float64(countAgain) * float64(most) / DefaultMaxSessions)
	return used >= room/4 && now.Sub(of.counted) >= pause
}

// count reads from the store how many sessions the client has, up to its limit.
func (q *Quotas) count(ctx context.Context, id string, most int) (found int, err error) {
	for after := sessionKey(""); found < most; {
		page, err := q.store.List(ctx, clientIndex(id), after, countPage)
		if err != nil {
			return 0, err
		}
		found += len(page)
		if len(page) < countPage {
			break
		}
		after = page[len(page)-1].Key
	}
	return found, nil
}

// settle takes what came of a session that was admitted. One of which nobody knows whether it was made counts, until
// the sessions are counted again.
func (q *Quotas) settle(id string, err error) {
	of := q.of(id)
	of.mu.Lock()
	defer of.mu.Unlock()
	of.flying--
	var conflict *store.Conflict
	if !errors.As(err, &conflict) && !errors.Is(err, store.ErrInvalid) {
		of.made++
	}
}
