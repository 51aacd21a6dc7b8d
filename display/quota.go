package display

import (
	"context"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

const (
	recount   = time.Minute // between two counts of a client that is at its limit
	countPage = 100         // records read at a time to count them
)

// quotas hold each client to a number of displays. They are counted when a client is first seen and when it comes to its
// limit; what this node keeps is added meanwhile. Other nodes' displays are found by the next count.
type quotas struct {
	store store.Store
	most  int
	now   func() time.Time

	clients sync.Map // of *quota by client id
}

type quota struct {
	mu      sync.Mutex
	has     int
	counted time.Time // zero: never
}

func newQuotas(of store.Store, most int, now func() time.Time) *quotas {
	return &quotas{store: of, most: most, now: now}
}

// admit counts one more display of a client, or returns ErrFull.
func (q *quotas) admit(ctx context.Context, client string) error {
	value, _ := q.clients.LoadOrStore(client, &quota{})
	of := value.(*quota)
	of.mu.Lock()
	defer of.mu.Unlock()
	if now := q.now(); of.counted.IsZero() || of.has >= q.most && now.Sub(of.counted) >= recount {
		found, err := q.count(ctx, client)
		if err != nil {
			return err
		}
		of.has, of.counted = found, now
	}
	if of.has >= q.most {
		return ErrFull
	}
	of.has++
	return nil
}

// count reads from the store how many displays a client has, up to its limit.
func (q *quotas) count(ctx context.Context, client string) (found int, err error) {
	for after := ""; found < q.most; {
		page, err := q.store.List(ctx, index(client), after, countPage)
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
