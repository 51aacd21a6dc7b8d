package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

func limitTests() []test {
	longest, tooLong := strings.Repeat("k", store.MaxKey), strings.Repeat("k", store.MaxKey+1)
	return []test{
		{"refused", func(s *suite) {
			put := func(r store.Record) []store.Op { return []store.Op{{Put: &r}} }
			for name, b := range map[string]store.Batch{
				"no key":             {Then: put(store.Record{Value: []byte("v")})},
				"no change":          {Then: []store.Op{{}}},
				"put and delete":     {Then: []store.Op{{Put: &store.Record{Key: "k"}, Delete: "k"}}},
				"check without key":  {If: []store.Check{{Version: 1}}},
				"long key":           {Then: put(store.Record{Key: tooLong})},
				"long delete":        {Then: []store.Op{{Delete: tooLong}}},
				"long check":         {If: []store.Check{{Key: tooLong}}},
				"long index":         {Then: put(store.Record{Key: "k", Index: tooLong})},
				"long queue":         {Then: put(store.Record{Key: "k", Queue: tooLong})},
				"large value":        {Then: put(store.Record{Key: "k", Value: make([]byte, store.MaxValue+1)})},
				"large batch":        largest(1),
				"too many changes":   many(store.MaxOps + 1),
				"too many checks":    {If: make([]store.Check, store.MaxOps+1)},
				"expiry past counts": {Then: put(store.Record{Key: "k", Expires: time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)})},
				"due past counts":    {Then: put(store.Record{Key: "k", Queue: "q", Due: time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)})},
				"two puts":           {Then: append(put(store.Record{Key: "k"}), put(store.Record{Key: "k"})...)},
				"put, then delete":   {Then: append(put(store.Record{Key: "k"}), store.Op{Delete: "k"})},
			} {
				if err := s.Commit(s.Context(), b); !errors.Is(err, store.ErrInvalid) {
					s.Errorf("%s: got %v, want ErrInvalid", name, err)
				}
			}
			s.absent("k")
		}},
		{"arguments refused", func(s *suite) {
			_, err := s.Get(s.Context(), "k", "")
			s.fails(err, store.ErrInvalid)
			_, err = s.Get(s.Context(), tooLong)
			s.fails(err, store.ErrInvalid)
			for _, c := range []struct {
				queue string
				n     int
				lease time.Duration
			}{{"", 1, 1}, {tooLong, 1, 1}, {"q", 0, 1}, {"q", -1, 1}, {"q", 1, 0}, {"q", 1, -1}} {
				_, err := s.Claim(s.Context(), c.queue, c.n, c.lease)
				s.fails(err, store.ErrInvalid)
			}
			for _, l := range []struct {
				index, after string
				limit        int
			}{{"", "", 1}, {tooLong, "", 1}, {"i", tooLong, 1}, {"i", "", 0}, {"i", "", -1}} {
				_, err := s.List(s.Context(), l.index, l.after, l.limit)
				s.fails(err, store.ErrInvalid)
			}
		}},
		{"the largest record", func(s *suite) {
			r := store.Record{Key: longest, Value: make([]byte, store.MaxValue), Index: longest, Queue: longest}
			r.Value[store.MaxValue-1] = 1
			r.Version = s.put(r).Version
			s.same(s.get(longest), r)
			s.keys(s.list(longest, "", 1), longest)
			s.keys(s.claim(longest, 1, time.Minute), longest)
		}},
		{"the largest batch", func(s *suite) {
			s.commit(largest(0))
			s.commit(largest(0))
			s.keys(s.claim("q", 9, time.Minute), "k0", "k1", "k2", "k3")
		}},
		// The longest names, and as many as are allowed, each of which takes the place of another: the most that an
		// engine has to write for one batch.
		{"the busiest batch", func(s *suite) {
			for round := range 2 {
				b := many(store.MaxOps)
				room := (store.MaxBatch - b.Size()) / store.MaxOps
				for i := range b.Then {
					r := b.Then[i].Put
					r.Key += strings.Repeat("k", store.MaxKey-len(r.Key))
					r.Index = fmt.Sprintf("%0*d", store.MaxKey, round)
					r.Queue = fmt.Sprintf("%0*d", store.MaxKey, i+round)
					r.Expires = s.in(time.Hour)
					r.Value = make([]byte, room-3*store.MaxKey)
				}
				s.commit(b)
			}
			if n := len(s.list(fmt.Sprintf("%0*d", store.MaxKey, 1), "", 2*store.MaxOps)); n != store.MaxOps {
				s.Fatalf("%d records under the index, want %d", n, store.MaxOps)
			}
			s.keys(s.list(fmt.Sprintf("%0*d", store.MaxKey, 0), "", 1))
		}},
		{"a claim of much", func(s *suite) {
			seen := map[string]bool{}
			for i := range 20 {
				s.put(store.Record{Key: fmt.Sprint(i), Queue: "q", Value: make([]byte, store.MaxValue)})
			}
			for len(seen) < 20 {
				records := s.claim("q", 20, time.Minute)
				if len(records) == 0 {
					s.Fatalf("nothing to claim after %d of 20", len(seen))
				}
				for _, r := range records {
					if seen[r.Key] {
						s.Fatalf("%q was claimed twice", r.Key)
					}
					seen[r.Key] = true
				}
			}
			s.keys(s.claim("q", 20, time.Minute))
		}},
	}
}

// largest returns a batch of the size of the limit, plus over.
func largest(over int) store.Batch {
	b := many(store.MaxBatch / store.MaxValue)
	for i := range b.Then {
		b.Then[i].Put.Value = make([]byte, store.MaxValue)
	}
	last := b.Then[len(b.Then)-1].Put
	last.Value = nil
	last.Value = make([]byte, store.MaxBatch-b.Size()+over)
	return b
}

func many(n int) store.Batch {
	var b store.Batch
	for i := range n {
		b.Then = append(b.Then, store.Op{Put: &store.Record{Key: fmt.Sprintf("k%d", i), Queue: "q"}})
	}
	return b
}
