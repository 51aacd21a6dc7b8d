// Package storetest is the test suite that every engine of package store passes. It uses an engine only through
// store.Store, and controls its clock.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Run tests every promise of store.Store and store.Dumper. Open returns an empty store that uses the clock now; the
// suite closes it.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store) {
	for name, tests := range map[string][]test{
		"get":        getTests(),
		"commit":     commitTests(),
		"limits":     limitTests(),
		"claim":      claimTests(),
		"list":       listTests(),
		"expiry":     expiryTests(),
		"concurrent": concurrentTests(),
		"lifecycle":  lifecycleTests(),
		"dump":       dumpTests(),
	} {
		t.Run(name, func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					c := &clock{now: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}
					s := &suite{T: t, Store: open(t, c.Now), clock: c}
					t.Cleanup(func() {
						if err := s.Close(); err != nil {
							t.Errorf("Close: %v", err)
						}
					})
					test.run(s)
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(s *suite)
}

// suite is the state of one test: an empty store, its clock, and methods that fail the test when the store fails.
type suite struct {
	*testing.T
	store.Store
	clock *clock
}

// clock is a clock that moves only when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (s *suite) in(d time.Duration) time.Time { return s.clock.Now().Add(d) }

// put commits one record without a check and returns it as stored.
func (s *suite) put(r store.Record) store.Record {
	s.Helper()
	s.commit(store.Batch{Then: []store.Op{{Put: &r}}})
	return s.get(r.Key)
}

func (s *suite) remove(key string) {
	s.Helper()
	s.commit(store.Batch{Then: []store.Op{{Delete: key}}})
}

func (s *suite) commit(b store.Batch) {
	s.Helper()
	if err := s.Commit(s.Context(), b); err != nil {
		s.Fatalf("Commit: %v", err)
	}
}

// refuse commits a batch that must fail on that check.
func (s *suite) refuse(b store.Batch, want store.Check) {
	s.Helper()
	err := s.Commit(s.Context(), b)
	var conflict *store.Conflict
	if !errors.As(err, &conflict) {
		s.Fatalf("Commit: %v, want a Conflict", err)
	}
	if conflict.Check != want {
		s.Fatalf("the Conflict names %+v, want %+v", conflict.Check, want)
	}
}

func (s *suite) get(key string) store.Record {
	s.Helper()
	records, err := s.Get(s.Context(), key)
	if err != nil || len(records) != 1 {
		s.Fatalf("Get: %d records, %v", len(records), err)
	}
	return records[0]
}

// absent fails the test if the key exists.
func (s *suite) absent(key string) {
	s.Helper()
	s.same(s.get(key), store.Record{Key: key})
}

// same compares every field of two records.
func (s *suite) same(got, want store.Record) {
	s.Helper()
	if got.Key != want.Key || got.Version != want.Version || got.Index != want.Index || got.Queue != want.Queue ||
		!bytes.Equal(got.Value, want.Value) || !got.Expires.Equal(want.Expires) || !got.Due.Equal(want.Due) {
		s.Fatalf("got %+v, want %+v", got, want)
	}
}

func (s *suite) claim(queue string, n int, lease time.Duration) []store.Record {
	s.Helper()
	records, err := s.Claim(s.Context(), queue, n, lease)
	if err != nil {
		s.Fatalf("Claim: %v", err)
	}
	return records
}

func (s *suite) list(index, after string, limit int) []store.Record {
	s.Helper()
	records, err := s.List(s.Context(), index, after, limit)
	if err != nil {
		s.Fatalf("List: %v", err)
	}
	return records
}

// keys fails the test unless the records have exactly these keys, in this order.
func (s *suite) keys(records []store.Record, want ...string) {
	s.Helper()
	got := make([]string, len(records))
	for i, r := range records {
		got[i] = r.Key
	}
	if !slices.Equal(got, want) {
		s.Fatalf("got the keys %q, want %q", got, want)
	}
}

// fails fails the test unless the error wraps the wanted one.
func (s *suite) fails(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("got the error %v, want %v", err, want)
	}
}

// everyVerb calls each method that can fail with valid arguments.
func (s *suite) everyVerb(ctx context.Context, each func(verb string, err error)) {
	_, err := s.Get(ctx, "k")
	each("Get", err)
	each("Commit", s.Commit(ctx, store.Batch{Then: []store.Op{{Put: &store.Record{Key: "k"}}}}))
	_, err = s.Claim(ctx, "q", 1, time.Minute)
	each("Claim", err)
	_, err = s.List(ctx, "i", "", 1)
	each("List", err)
}
