package storetest

import (
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Durable tests what an engine must find again that keeps records beyond its own life. Open opens the store in dir,
// existing or not; the suite closes it.
func Durable(t *testing.T, open func(t *testing.T, dir string, now func() time.Time) store.Store) {
	c := &clock{now: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	s := &suite{T: t, Store: open(t, dir, c.Now), clock: c}
	reopen := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		s.Store = open(t, dir, c.Now)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()

	kept := []store.Record{
		s.put(store.Record{Key: "large", Value: make([]byte, store.MaxValue)}),
		s.put(store.Record{Key: "lasting", Value: []byte("v"), Index: "i", Queue: "q", Due: s.in(time.Minute), Expires: s.in(time.Hour)}),
		s.put(store.Record{Key: "brief", Index: "i", Queue: "q", Expires: s.in(time.Second)}),
	}
	s.put(store.Record{Key: "moved", Index: "i", Queue: "q"})
	kept = append(kept, s.put(store.Record{Key: "moved", Index: "j"}))
	gone := s.put(store.Record{Key: "gone", Index: "i", Queue: "q"})
	s.remove("gone")
	s.put(store.Record{Key: "claimed", Queue: "claims"})
	kept = append(kept, s.claim("claims", 1, time.Minute)...)

	// Twice, because what was replayed once may be stored in another form the next time.
	for range 2 {
		reopen()
		for _, r := range kept {
			s.same(s.get(r.Key), r)
		}
		s.absent("gone")
		s.keys(s.list("i", "", 9), "brief", "lasting")
		s.keys(s.list("j", "", 9), "moved")
		s.keys(s.claim("claims", 9, time.Minute))
	}

	// Time passes while the store is closed.
	c.pass(time.Minute)
	reopen()
	s.absent("brief")
	s.keys(s.list("i", "", 9), "lasting")
	s.keys(s.claim("q", 9, time.Minute), "lasting")
	s.keys(s.claim("claims", 9, time.Minute), "claimed")

	// No version is reused, even if nothing is left of the record that had the latest one.
	for range 3 {
		last := s.put(store.Record{Key: "gone"})
		if last.Version == gone.Version {
			t.Fatalf("version %d was assigned again", last.Version)
		}
		gone = last
		s.remove("gone")
		reopen()
	}
}
