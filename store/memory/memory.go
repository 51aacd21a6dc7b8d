// Package memory is the store that keeps everything in the memory of one process, for tests, benchmarks and the
// sandbox. It keeps all promises of package store, except that nothing outlives the process.
//
// It starts no goroutine: expired records are deleted by the next Commit or Claim, whatever its keys, so the
// store holds the live records and those that have expired since.
package memory

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Options configures a Store. The zero value is ready to use.
type Options struct {
	Now func() time.Time // the clock; nil: time.Now
}

// Store is a store.Store in memory.
type Store struct {
	now func() time.Time

	mu      sync.Mutex // guards everything below
	closed  bool
	last    store.Version // the latest version assigned
	records map[string]*entry
	indexes map[string]order
	queues  map[string]order
	expires expiries
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Dumper = (*Store)(nil)
)

// New returns an empty store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		now:     o.Now,
		records: map[string]*entry{},
		indexes: map[string]order{},
		queues:  map[string]order{},
	}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := store.ValidKeys(keys...); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.now()
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		records[i].Key = key
		if e := s.alive(key, now); e != nil {
			records[i] = e.copy()
		}
	}
	return records, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, batch store.Batch) error {
	if err := batch.Validate(); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.sweep()
	for _, check := range batch.If {
		if s.version(check.Key) != check.Version {
			return &store.Conflict{Check: check}
		}
	}
	s.last++
	for _, op := range batch.Then {
		if op.Put == nil {
			s.drop(op.Delete)
			continue
		}
		s.put(*op.Put)
	}
	return nil
}

// Dump implements store.Dumper. It reads from a copy of all records.
func (s *Store) Dump(ctx context.Context, each func(store.Record) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	now := s.now()
	var records []store.Record
	for _, key := range slices.Sorted(maps.Keys(s.records)) {
		if e := s.alive(key, now); e != nil {
			records = append(records, e.copy())
		}
	}
	s.mu.Unlock()
	for _, r := range records {
		if err := s.enter(ctx); err != nil { // closed in the meantime
			return err
		}
		s.mu.Unlock()
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]store.Record, error) {
	if err := store.ValidClaim(queue, n, lease); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.sweep()
	var claimed []store.Record
	size := 0
	for p := range s.queues[queue].after(place{}) {
		e := s.records[p.key]
		size += e.Size()
		if p.at.After(now) || len(claimed) == min(n, store.MaxOps) || size > store.MaxBatch {
			break
		}
		claimed = append(claimed, e.copy())
	}
	s.last++
	for i := range claimed {
		claimed[i].Due = now.Add(lease).Round(0).UTC()
		claimed[i].Version = s.last
		s.put(claimed[i])
	}
	return claimed, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, index, after string, limit int) ([]store.Record, error) {
	if err := store.ValidList(index, after, limit); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.now()
	var listed []store.Record
	for p := range s.indexes[index].after(place{key: after}) {
		if len(listed) == limit {
			break
		}
		if e := s.alive(p.key, now); e != nil {
			listed = append(listed, e.copy())
		}
	}
	return listed, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.records, s.indexes, s.queues, s.expires = nil, nil, nil, nil
	return nil
}

// enter takes the lock. It fails if the store is closed or the context has ended.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fmt.Errorf("%w: store is closed", store.ErrUnavailable)
	}
	return nil
}

// sweep deletes all expired records and returns the time it used.
func (s *Store) sweep() time.Time {
	now := s.now()
	for len(s.expires) > 0 && s.expires[0].ExpiredAt(now) {
		s.drop(s.expires[0].Key)
	}
	return now
}

func (s *Store) alive(key string, now time.Time) *entry {
	e := s.records[key]
	if e == nil || e.ExpiredAt(now) {
		return nil
	}
	return e
}

// version returns the version of a record after a sweep, or zero.
func (s *Store) version(key string) store.Version {
	if e := s.records[key]; e != nil {
		return e.Version
	}
	return 0
}

// put replaces the record of the key with a copy of r, under the latest version.
func (s *Store) put(r store.Record) {
	s.drop(r.Key)
	r.Value = bytes.Clone(r.Value)
	r.Version = s.last
	r.Expires = plain(r.Expires)
	r.Due = plain(r.Due)
	if r.Queue == "" {
		r.Due = time.Time{}
	}
	e := &entry{Record: r}
	s.records[r.Key] = e
	if r.Index != "" {
		s.indexes[r.Index] = s.indexes[r.Index].with(place{key: r.Key})
	}
	if r.Queue != "" {
		s.queues[r.Queue] = s.queues[r.Queue].with(place{at: r.Due, key: r.Key})
	}
	if !r.Expires.IsZero() {
		heap.Push(&s.expires, e)
	}
}

// drop removes the record and its places, if it exists.
func (s *Store) drop(key string) {
	e := s.records[key]
	if e == nil {
		return
	}
	delete(s.records, key)
	leave(s.indexes, e.Index, place{key: key})
	leave(s.queues, e.Queue, place{at: e.Due, key: key})
	if !e.Expires.IsZero() {
		heap.Remove(&s.expires, e.position)
	}
}

// plain strips the time zone and the monotonic reading.
func plain(t time.Time) time.Time { return t.Round(0).UTC() }
