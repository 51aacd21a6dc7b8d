package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

func concurrentTests() []test {
	return []test{
		{"a counter loses no update", func(s *suite) {
			const goroutines, each = 16, 10
			s.each(goroutines, func(int) error {
				for range each {
					if err := s.increment(); err != nil {
						return err
					}
				}
				return nil
			})
			if n := binary.BigEndian.Uint64(s.get("counter").Value); n != goroutines*each {
				s.Fatalf("the counter stands at %d, want %d", n, goroutines*each)
			}
		}},
		{"one of many wins", func(s *suite) {
			var mu sync.Mutex
			winners := 0
			s.each(16, func(i int) error {
				err := s.Commit(s.Context(), store.Batch{
					If:   []store.Check{{Key: "jti"}},
					Then: []store.Op{{Put: &store.Record{Key: "jti"}}, {Put: &store.Record{Key: fmt.Sprint("token", i), Index: "tokens"}}},
				})
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					winners++
				}
				return unlessConflict(err)
			})
			if tokens := len(s.list("tokens", "", 99)); winners != 1 || tokens != 1 {
				s.Fatalf("%d winners and %d tokens, want one of each", winners, tokens)
			}
		}},
		{"each claimed once", func(s *suite) {
			const records = 60
			for i := range records {
				s.put(store.Record{Key: fmt.Sprint(i), Queue: "q"})
			}
			var mu sync.Mutex
			claims := map[string]int{}
			s.each(8, func(int) error {
				for range records + 1 {
					claimed, err := s.Claim(s.Context(), "q", 3, time.Minute)
					if err != nil || len(claimed) == 0 {
						return err
					}
					mu.Lock()
					for _, r := range claimed {
						claims[r.Key]++
					}
					mu.Unlock()
				}
				return errors.New("there is always more to claim")
			})
			for key, n := range claims {
				if n != 1 {
					s.Errorf("%q was claimed %d times, want once", key, n)
				}
			}
			if len(claims) != records {
				s.Errorf("got %d of %d records claimed", len(claims), records)
			}
		}},
		// Two records that always change together are never seen in different states.
		{"records of one moment", func(s *suite) {
			s.each(4, func(i int) error {
				for n := range 40 {
					if i == 0 {
						value := []byte{byte(n)}
						err := s.Commit(s.Context(), store.Batch{Then: []store.Op{
							{Put: &store.Record{Key: "a", Value: value}}, {Put: &store.Record{Key: "b", Value: value}},
						}})
						if err != nil {
							return err
						}
						continue
					}
					pair, err := s.Get(s.Context(), "a", "b")
					if err != nil {
						return err
					}
					if string(pair[0].Value) != string(pair[1].Value) {
						return fmt.Errorf("got a %v and b %v, want equal values", pair[0].Value, pair[1].Value)
					}
				}
				return nil
			})
		}},
	}
}

// increment adds one to the counter by compare-and-swap, retrying until it succeeds.
func (s *suite) increment() error {
	for {
		records, err := s.Get(s.Context(), "counter")
		if err != nil {
			return err
		}
		r := records[0]
		check := store.Check{Key: r.Key, Version: r.Version}
		if r.Version == 0 {
			r.Value = make([]byte, 8)
		}
		binary.BigEndian.PutUint64(r.Value, binary.BigEndian.Uint64(r.Value)+1)
		err = s.Commit(s.Context(), store.Batch{If: []store.Check{check}, Then: []store.Op{{Put: &r}}})
		if err == nil {
			return nil
		}
		if err = unlessConflict(err); err != nil {
			return err
		}
	}
}

func unlessConflict(err error) error {
	if conflict := (*store.Conflict)(nil); errors.As(err, &conflict) {
		return nil
	}
	return err
}

// each runs a function concurrently in n goroutines and waits for all.
func (s *suite) each(n int, run func(i int) error) {
	s.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = run(i) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		s.Fatal(err)
	}
}

func lifecycleTests() []test {
	return []test{
		{"a context that has ended", func(s *suite) {
			ctx, cancel := context.WithCancel(s.Context())
			cancel()
			s.everyVerb(ctx, func(verb string, err error) {
				if !errors.Is(err, context.Canceled) {
					s.Errorf("%s: got %v, want context.Canceled", verb, err)
				}
			})
			s.absent("k")
		}},
		{"a closed store", func(s *suite) {
			s.put(store.Record{Key: "k"})
			for range 2 {
				if err := s.Close(); err != nil {
					s.Fatal(err)
				}
			}
			s.everyVerb(s.Context(), func(verb string, err error) {
				if !errors.Is(err, store.ErrUnavailable) {
					s.Errorf("%s: got %v, want ErrUnavailable", verb, err)
				}
			})
		}},
		// Every commit concurrent with Close is either acknowledged or fails with ErrUnavailable.
		{"closed under way", func(s *suite) {
			started := make(chan struct{}, 8)
			s.each(9, func(i int) error {
				if i == 8 {
					for range 8 {
						<-started
					}
					return s.Close()
				}
				started <- struct{}{}
				for n := 0; ; n++ {
					err := s.Commit(s.Context(), store.Batch{Then: []store.Op{{Put: &store.Record{Key: fmt.Sprint(i, "/", n)}}}})
					if errors.Is(err, store.ErrUnavailable) {
						return nil
					}
					if err != nil {
						return err
					}
				}
			})
		}},
	}
}
