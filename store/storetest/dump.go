package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

func dumpTests() []test {
	return []test{
		{"nothing", func(s *suite) {
			if got := s.dump(); len(got) != 0 {
				s.Errorf("empty store: got records %v, want none", got)
			}
		}},
		{"everything, in order, but what has expired or was deleted", func(s *suite) {
			b := s.put(store.Record{Key: "b", Value: []byte("1"), Index: "i", Queue: "q", Due: s.in(time.Hour), Expires: s.in(2 * time.Hour)})
			a := s.put(store.Record{Key: "a", Value: bytes.Repeat([]byte("v"), store.MaxValue)})
			s.put(store.Record{Key: "expires", Expires: s.in(time.Minute)})
			s.put(store.Record{Key: "deleted", Index: "i"})
			c := s.put(store.Record{Key: "c\x00\xff"})
			s.remove("deleted")
			s.clock.pass(time.Minute)
			got := s.dump()
			s.keys(got, "a", "b", "c\x00\xff")
			for i, want := range []store.Record{a, b, c} {
				s.same(got[i], want)
			}
		}},
		{"more than one page of them", func(s *suite) {
			var want []string
			for page := range 3 {
				var b store.Batch
				for i := range store.MaxOps {
					key := fmt.Sprintf("k%d-%04d", page, i)
					b.Then = append(b.Then, store.Op{Put: &store.Record{Key: key, Value: []byte(strings.Repeat("v", i%100))}})
					want = append(want, key)
				}
				s.commit(b)
			}
			s.keys(s.dump(), want...)
		}},
		{"of one moment", func(s *suite) {
			s.put(store.Record{Key: "a", Value: []byte("old")})
			s.put(store.Record{Key: "z", Value: []byte("old")})
			var got []string
			err := s.dumper().Dump(s.Context(), func(r store.Record) error {
				if r.Key == "a" { // another caller changes everything during the dump
					s.put(store.Record{Key: "z", Value: []byte("new")})
					s.put(store.Record{Key: "m"})
					s.remove("a")
				}
				got = append(got, r.Key+"="+string(r.Value))
				return nil
			})
			if err != nil || !slices.Equal(got, []string{"a=old", "z=old"}) {
				s.Errorf("got %q, %v, want the records as they were at the start", got, err)
			}
		}},
		{"ends with the function's error", func(s *suite) {
			s.put(store.Record{Key: "a"})
			s.put(store.Record{Key: "b"})
			enough, calls := errors.New("enough"), 0
			err := s.dumper().Dump(s.Context(), func(store.Record) error { calls++; return enough })
			if !errors.Is(err, enough) || calls != 1 {
				s.Errorf("got %v after %d calls, want the function's error", err, calls)
			}
			s.put(store.Record{Key: "c"}) // the store stays usable
		}},
		// The caller of Dump may be slow or block: Close must not wait longer than one record for it, and nobody else
		// waits at all.
		{"broken off by Close", func(s *suite) {
			s.put(store.Record{Key: "a"})
			s.put(store.Record{Key: "b"})
			reading, goOn := make(chan struct{}), make(chan struct{})
			dumped, closed := make(chan error, 1), make(chan error, 1)
			d := s.dumper()
			go func() {
				dumped <- d.Dump(s.Context(), func(r store.Record) error {
					if r.Key == "a" {
						close(reading)
						<-goOn
					}
					return nil
				})
			}()
			<-reading
			go func() { closed <- s.Close() }()
			refused := make(chan error, 1)
			go func() {
				for s.Context().Err() == nil { // until Close has begun
					if _, err := s.Get(s.Context(), "a"); err != nil {
						refused <- err
						return
					}
				}
			}()
			select {
			case err := <-refused:
				s.fails(err, store.ErrUnavailable)
			case <-time.After(10 * time.Second):
				s.Error("others wait for whoever reads a dump")
			}
			close(goOn)
			s.fails(<-dumped, store.ErrUnavailable)
			if err := <-closed; err != nil {
				s.Errorf("Close: got %v", err)
			}
		}},
		{"not when closed", func(s *suite) {
			d := s.dumper()
			if err := s.Close(); err != nil {
				s.Fatal(err)
			}
			if err := d.Dump(s.Context(), func(store.Record) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
				s.Errorf("%v", err)
			}
		}},
	}
}

func (s *suite) dumper() store.Dumper {
	s.Helper()
	d, is := s.Store.(store.Dumper)
	if !is {
		s.Fatalf("%T is no store.Dumper", s.Store)
	}
	return d
}

func (s *suite) dump() []store.Record {
	s.Helper()
	var all []store.Record
	err := s.dumper().Dump(s.Context(), func(r store.Record) error {
		r.Value = bytes.Clone(r.Value)
		all = append(all, r)
		return nil
	})
	if err != nil {
		s.Fatalf("Dump: %v", err)
	}
	return all
}
