package signing

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

const (
	// DefaultMaxSessions is how many sessions a client may have at one time, if nothing else is said.
	DefaultMaxSessions = 100_000

	// maxWorking bounds the requests that have arrived whole and are being checked and kept. It is far more than it
	// takes to keep processors and disk busy, so what is above it would only wait.
	maxWorking = 1024

	countAgain = 5 * time.Second // between two counts of one client's sessions, at the soonest
	countPage  = 1000            // records read at a time to count them
)

// quotas hold each client to a number of sessions at one time, those included that are over but still kept. What was
// counted in the store is added to by what is made here, and counted again when the limit seems to be reached. So the
// limit holds at about its number: sessions that other nodes make, or that were there before a start, are noticed
// late, and can be half as many more.
type quotas struct {
	store   store.Store
	now     func() time.Time
	clients sync.Map // of *quota by client id
}

// quota is the count of one client.
type quota struct {
	mu      sync.Mutex
	found   int       // sessions at the last count
	made    int       // since then
	counted time.Time // zero: never
}

// admit says whether the client may have one more session, and takes it for made.
func (q *quotas) admit(ctx context.Context, id string, most int) error {
	if most == 0 {
		most = DefaultMaxSessions
	}
	value, known := q.clients.Load(id)
	if !known {
		value, _ = q.clients.LoadOrStore(id, &quota{})
	}
	of := value.(*quota)
	of.mu.Lock()
	defer of.mu.Unlock()
	if err := of.recount(ctx, q, id, most); err != nil {
		return err
	}
	if of.found+of.made >= most {
		e := failure(http.StatusTooManyRequests, "too_many",
			"This client has as many open requests as it may have (%d); let people sign them, or wait until some expire", most).
			because("sessions of the client", fmt.Sprintf("fewer than %d", most), fmt.Sprint(of.found+of.made))
		e.RetryAfter = time.Minute
		return e
	}
	of.made++
	return nil
}

// recount reads from the store how many sessions the client has, where that could matter.
func (of *quota) recount(ctx context.Context, q *quotas, id string, most int) error {
	now := q.now()
	full := of.found+of.made >= most && now.Sub(of.counted) >= countAgain
	first := of.counted.IsZero() && of.made >= most/2
	if !full && !first {
		return nil
	}
	found := 0
	for after := sessionKey(""); found < most; {
		page, err := q.store.List(ctx, clientIndex(id), after, countPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			if strings.HasPrefix(r.Key, sessionKey("")) {
				found++
			}
		}
		if len(page) < countPage {
			break
		}
		after = page[len(page)-1].Key
	}
	of.found, of.made, of.counted = found, 0, now
	return nil
}

// giveBack takes back what admit has taken for made and was not.
func (q *quotas) giveBack(id string) {
	if value, known := q.clients.Load(id); known {
		of := value.(*quota)
		of.mu.Lock()
		defer of.mu.Unlock()
		of.made = max(of.made-1, 0)
	}
}
