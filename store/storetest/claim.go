package storetest

import (
	"fmt"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

func claimTests() []test {
	return []test{
		{"soonest first, and only what is due", func(s *suite) {
			s.put(store.Record{Key: "later", Queue: "q", Due: s.in(time.Second)})
			s.put(store.Record{Key: "now", Queue: "q", Due: s.in(0)})
			s.put(store.Record{Key: "before", Queue: "q", Due: s.in(-time.Hour)})
			s.put(store.Record{Key: "long ago", Queue: "q", Due: time.Unix(-1, 0)})
			s.put(store.Record{Key: "at once", Queue: "q"})
			s.put(store.Record{Key: "elsewhere", Queue: "other"})
			s.put(store.Record{Key: "nowhere"})
			s.keys(s.claim("q", 2, time.Minute), "at once", "long ago")
			s.keys(s.claim("q", 9, time.Minute), "before", "now")
			s.keys(s.claim("q", 9, time.Minute))
			s.clock.pass(time.Second)
			s.keys(s.claim("q", 9, time.Minute), "later")
		}},
		{"all of a record", func(s *suite) {
			r := s.put(store.Record{Key: "k", Value: []byte("v"), Index: "i", Queue: "q", Expires: s.in(time.Hour)})
			claimed := s.claim("q", 1, time.Minute)
			s.keys(claimed, "k")
			if claimed[0].Version == r.Version || claimed[0].Version == 0 {
				s.Fatalf("the claimed version %d is not a new one", claimed[0].Version)
			}
			r.Version, r.Due = claimed[0].Version, s.in(time.Minute)
			s.same(claimed[0], r)
			s.same(s.get("k"), r)
		}},
		{"a claim breaks older checks", func(s *suite) {
			r := s.put(store.Record{Key: "k", Queue: "q"})
			s.claim("q", 1, time.Minute)
			check := store.Check{Key: "k", Version: r.Version}
			s.refuse(store.Batch{If: []store.Check{check}, Then: []store.Op{{Delete: "k"}}}, check)
		}},
		{"a lease that runs out", func(s *suite) {
			s.put(store.Record{Key: "k", Queue: "q"})
			first := s.claim("q", 1, time.Minute)
			s.clock.pass(time.Minute - 1)
			s.keys(s.claim("q", 1, time.Minute))
			s.clock.pass(1)
			second := s.claim("q", 1, time.Minute)
			s.keys(second, "k")

			// The first claimer is too late to commit its result; the second is not.
			late := store.Check{Key: "k", Version: first[0].Version}
			s.refuse(store.Batch{If: []store.Check{late}, Then: []store.Op{{Delete: "k"}}}, late)
			s.commit(store.Batch{If: []store.Check{{Key: "k", Version: second[0].Version}}, Then: []store.Op{{Delete: "k"}}})
			s.clock.pass(time.Hour)
			s.keys(s.claim("q", 1, time.Minute))
		}},
		{"put back for later", func(s *suite) {
			s.put(store.Record{Key: "k", Queue: "q"})
			r := s.claim("q", 1, time.Hour)[0]
			r.Due = s.in(time.Minute)
			s.commit(store.Batch{If: []store.Check{{Key: "k", Version: r.Version}}, Then: []store.Op{{Put: &r}}})
			s.keys(s.claim("q", 1, time.Hour))
			s.clock.pass(time.Minute)
			s.keys(s.claim("q", 1, time.Hour), "k")
		}},
		{"put back for sooner", func(s *suite) {
			s.put(store.Record{Key: "k", Queue: "q", Due: s.in(time.Hour)})
			s.keys(s.claim("q", 1, time.Hour))
			s.put(store.Record{Key: "k", Queue: "q", Due: s.in(-time.Hour)})
			s.keys(s.claim("q", 1, time.Hour), "k")
		}},
		{"to another queue", func(s *suite) {
			s.put(store.Record{Key: "k", Queue: "q"})
			s.put(store.Record{Key: "k", Queue: "dead"})
			s.keys(s.claim("q", 9, time.Minute))
			s.keys(s.claim("dead", 9, time.Minute), "k")
		}},
		{"equally due", func(s *suite) {
			for i := range 9 {
				s.put(store.Record{Key: fmt.Sprint(9 - i), Queue: "q", Due: s.in(0)})
			}
			s.keys(s.claim("q", 5, time.Minute), "1", "2", "3", "4", "5")
			s.keys(s.claim("q", 5, time.Minute), "6", "7", "8", "9")
		}},
	}
}

func listTests() []test {
	return []test{
		{"order and pages", func(s *suite) {
			for _, key := range []string{"b", "a\x00", "", "aa", "a", "\xff", "B", "c"} {
				s.put(store.Record{Key: "k" + key, Index: "i", Value: []byte(key)})
			}
			s.put(store.Record{Key: "kb2", Index: "i2"})
			s.put(store.Record{Key: "kb3"})
			all := []string{"k", "kB", "ka", "ka\x00", "kaa", "kb", "kc", "k\xff"}
			s.keys(s.list("i", "", 99), all...)
			s.keys(s.list("i", "", 8), all...)
			s.keys(s.list("i", "ka", 2), all[3:5]...)
			s.keys(s.list("i", "ka\x00\x00", 1), all[4])
			s.keys(s.list("i", "k\xff", 9))
			after := ""
			for _, key := range all {
				page := s.list("i", after, 1)
				s.keys(page, key)
				s.same(page[0], s.get(key))
				after = key
			}
		}},
		{"to another index", func(s *suite) {
			s.put(store.Record{Key: "k", Index: "i"})
			s.put(store.Record{Key: "k", Index: "j"})
			s.keys(s.list("i", "", 9))
			s.keys(s.list("j", "", 9), "k")
		}},
	}
}

func expiryTests() []test {
	return []test{
		{"nowhere to be seen", func(s *suite) {
			r := s.put(store.Record{Key: "k", Index: "i", Queue: "q", Expires: s.in(time.Minute)})
			s.put(store.Record{Key: "l", Index: "i", Queue: "q", Due: s.in(time.Second)})
			s.clock.pass(time.Minute - 1)
			s.same(s.get("k"), r)
			s.keys(s.list("i", "", 9), "k", "l")
			s.clock.pass(1)
			s.absent("k")
			s.keys(s.list("i", "", 9), "l")
			s.keys(s.list("i", "", 1), "l")
			s.keys(s.claim("q", 1, time.Minute), "l")
			s.absent("k")
			s.keys(s.list("i", "", 9), "l")
		}},
		{"checks see none", func(s *suite) {
			r := s.put(store.Record{Key: "k", Expires: s.in(time.Minute)})
			s.clock.pass(time.Minute)
			old := store.Check{Key: "k", Version: r.Version}
			s.refuse(store.Batch{If: []store.Check{old}}, old)
			s.commit(store.Batch{If: []store.Check{{Key: "k"}}, Then: []store.Op{{Put: &store.Record{Key: "k"}}}})
			if v := s.get("k").Version; v == r.Version || v == 0 {
				s.Fatalf("the new record has version %d, the old one had %d", v, r.Version)
			}
		}},
		{"already over when put", func(s *suite) {
			s.put(store.Record{Key: "k", Index: "i", Queue: "q", Expires: s.in(time.Minute)})
			r := store.Record{Key: "k", Index: "i", Queue: "q", Expires: s.in(0)}
			s.commit(store.Batch{Then: []store.Op{{Put: &r}}})
			s.absent("k")
			s.keys(s.list("i", "", 9))
			s.keys(s.claim("q", 9, time.Minute))
		}},
		{"put again without", func(s *suite) {
			s.put(store.Record{Key: "k", Index: "i", Queue: "q", Expires: s.in(time.Minute)})
			s.put(store.Record{Key: "k", Index: "i", Queue: "q"})
			s.clock.pass(time.Hour)
			s.put(store.Record{Key: "other"})
			s.keys(s.list("i", "", 9), "k")
			s.keys(s.claim("q", 9, time.Minute), "k")
		}},
		{"a claim does not lengthen it", func(s *suite) {
			s.put(store.Record{Key: "k", Queue: "q", Expires: s.in(time.Minute)})
			s.keys(s.claim("q", 1, time.Hour), "k")
			s.clock.pass(time.Minute)
			s.absent("k")
		}},
		{"much that expired", func(s *suite) {
			for hundreds := range 6 {
				b := many(100)
				for i := range b.Then {
					r := b.Then[i].Put
					r.Key, r.Index, r.Expires = fmt.Sprintf("%d%02d", hundreds, i), "i", s.in(time.Minute)
				}
				s.commit(b)
			}
			s.put(store.Record{Key: "599", Index: "i", Queue: "q"})
			s.clock.pass(time.Minute)
			s.keys(s.list("i", "", 1), "599")
			s.keys(s.claim("q", 1, time.Minute), "599")
		}},
	}
}
