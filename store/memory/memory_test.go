package memory

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, now func() time.Time) store.Store {
		return New(Options{Now: now})
	})
}

// A commit of another key deletes every trace of expired records.
func TestExpiredRecordsAreDropped(t *testing.T) {
	now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	s := New(Options{Now: func() time.Time { return now }})
	ctx := context.Background()
	for i := range 100 {
		r := store.Record{Key: strconv.Itoa(i), Index: "i", Queue: "q", Expires: now.Add(time.Duration(1+i%7) * time.Minute)}
		if err := s.Commit(ctx, store.Batch{Then: []store.Op{{Put: &r}}}); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(7 * time.Minute)
	if err := s.Commit(ctx, store.Batch{Then: []store.Op{{Put: &store.Record{Key: "other"}}}}); err != nil {
		t.Fatal(err)
	}
	if len(s.records) != 1 || len(s.indexes) != 0 || len(s.queues) != 0 || len(s.expires) != 0 {
		t.Errorf("got %d records, %d indexes, %d queues and %d expiries, want only the other record",
			len(s.records), len(s.indexes), len(s.queues), len(s.expires))
	}
}
