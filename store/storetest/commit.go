package storetest

import (
	"bytes"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

func getTests() []test {
	return []test{
		{"nothing", func(s *suite) {
			records, err := s.Get(s.Context())
			if err != nil || len(records) != 0 {
				s.Fatalf("Get without keys: %v, %v", records, err)
			}
			s.absent("k")
		}},
		{"all of a record", func(s *suite) {
			r := store.Record{
				Key: "k", Value: []byte("v\x00\xff"), Index: "i", Queue: "q",
				Expires: s.in(time.Hour + 1), Due: s.in(time.Minute + 7),
			}
			got := s.put(r)
			if got.Version == 0 {
				s.Fatal("a record that exists has the version zero")
			}
			r.Version = got.Version
			s.same(got, r)
			if got.Due.Location() != time.UTC || got.Expires.Location() != time.UTC {
				s.Fatalf("instants in %v and %v, want UTC", got.Due.Location(), got.Expires.Location())
			}
		}},
		{"next to nothing", func(s *suite) {
			got := s.put(store.Record{Key: "\x00", Due: s.in(time.Hour)})
			s.same(got, store.Record{Key: "\x00", Version: got.Version})
		}},
		{"in the order asked", func(s *suite) {
			b := s.put(store.Record{Key: "b", Value: []byte("2")})
			a := s.put(store.Record{Key: "a", Value: []byte("1")})
			records, err := s.Get(s.Context(), "b", "none", "a", "b")
			if err != nil || len(records) != 4 {
				s.Fatalf("Get: %v, %v", records, err)
			}
			for i, want := range []store.Record{b, {Key: "none"}, a, b} {
				s.same(records[i], want)
			}
		}},
		{"a key that begins like another", func(s *suite) {
			s.put(store.Record{Key: "ab", Index: "ab", Queue: "ab"})
			s.absent("a")
			s.absent("abc")
			s.keys(s.list("a", "", 9))
			s.keys(s.claim("a", 9, time.Minute))
		}},
		{"values are the caller's own", func(s *suite) {
			value := []byte("value")
			s.put(store.Record{Key: "k", Value: value, Index: "i", Queue: "q"})
			copy(value, "XXXXX")
			copy(s.get("k").Value, "XXXXX")
			copy(s.list("i", "", 1)[0].Value, "XXXXX")
			copy(s.claim("q", 1, time.Minute)[0].Value, "XXXXX")
			if got := s.get("k").Value; !bytes.Equal(got, []byte("value")) {
				s.Fatalf("somebody's slice reached into the store: %q", got)
			}
		}},
	}
}

func commitTests() []test {
	return []test{
		{"empty", func(s *suite) { s.commit(store.Batch{}) }},
		{"put replaces all", func(s *suite) {
			first := s.put(store.Record{Key: "k", Value: []byte("1"), Index: "i", Queue: "q", Expires: s.in(time.Hour)})
			second := s.put(store.Record{Key: "k"})
			if second.Version == first.Version {
				s.Fatal("the version did not change")
			}
			s.same(second, store.Record{Key: "k", Version: second.Version})
			s.keys(s.list("i", "", 9))
			s.keys(s.claim("q", 9, time.Minute))
		}},
		{"delete", func(s *suite) {
			s.put(store.Record{Key: "k", Index: "i", Queue: "q"})
			s.remove("k")
			s.absent("k")
			s.keys(s.list("i", "", 9))
			s.keys(s.claim("q", 9, time.Minute))
			s.remove("k")
		}},
		{"check that there is none", func(s *suite) {
			b := store.Batch{If: []store.Check{{Key: "k"}}, Then: []store.Op{{Put: &store.Record{Key: "k"}}}}
			s.commit(b)
			s.refuse(b, store.Check{Key: "k"})
			s.remove("k")
			s.commit(b)
		}},
		{"check of a version", func(s *suite) {
			b := store.Batch{Then: []store.Op{{Put: &store.Record{Key: "k", Value: []byte("new")}}}}
			b.If = []store.Check{{Key: "k", Version: 7_000_000_000}}
			s.refuse(b, b.If[0])
			b.If[0].Version = s.put(store.Record{Key: "k"}).Version
			s.commit(b)
			s.refuse(b, b.If[0])
		}},
		{"check of a key that is not changed", func(s *suite) {
			guard := s.put(store.Record{Key: "guard"})
			b := store.Batch{If: []store.Check{{Key: "guard", Version: guard.Version}}, Then: []store.Op{{Put: &store.Record{Key: "k"}}}}
			s.commit(b)
			s.remove("guard")
			s.refuse(b, b.If[0])
		}},
		{"checks alone", func(s *suite) {
			b := store.Batch{If: []store.Check{{Key: "k"}}}
			s.commit(b)
			s.put(store.Record{Key: "k"})
			s.refuse(b, b.If[0])
		}},
		{"the first check that fails is named", func(s *suite) {
			a := s.put(store.Record{Key: "a"})
			b := store.Batch{If: []store.Check{{Key: "a", Version: a.Version}, {Key: "none"}, {Key: "b", Version: 3}, {Key: "a"}}}
			s.refuse(b, b.If[2])
		}},
		{"checks see the state before the batch", func(s *suite) {
			s.commit(store.Batch{
				If:   []store.Check{{Key: "a"}, {Key: "b"}},
				Then: []store.Op{{Put: &store.Record{Key: "a"}}, {Put: &store.Record{Key: "b"}}},
			})
		}},
		{"all or nothing", func(s *suite) {
			kept := s.put(store.Record{Key: "kept", Index: "i"})
			b := store.Batch{
				If: []store.Check{{Key: "kept", Version: kept.Version}, {Key: "none", Version: 1}},
				Then: []store.Op{
					{Put: &store.Record{Key: "new", Index: "i", Queue: "q"}},
					{Delete: "kept"},
				},
			}
			s.refuse(b, b.If[1])
			s.absent("new")
			s.same(s.get("kept"), kept)
			s.keys(s.list("i", "", 9), "kept")
			s.keys(s.claim("q", 9, time.Minute))

			b.If = b.If[:1]
			s.commit(b)
			s.absent("kept")
			s.keys(s.list("i", "", 9), "new")
		}},
		{"no version comes back", func(s *suite) {
			seen := map[store.Version]bool{}
			for range 20 {
				v := s.put(store.Record{Key: "k", Value: []byte("same")}).Version
				if seen[v] {
					s.Fatalf("version %d came twice", v)
				}
				seen[v] = true
				s.remove("k")
				s.refuse(store.Batch{If: []store.Check{{Key: "k", Version: v}}}, store.Check{Key: "k", Version: v})
			}
		}},
	}
}
