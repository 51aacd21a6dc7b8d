package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/storetest"
)

// TestMain lets the test binary be the process that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
		return
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, Options{Dir: t.TempDir(), Now: now})
	})
}

func TestDurable(t *testing.T) {
	storetest.Durable(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		return open(t, Options{Dir: dir, Now: now})
	})
}

// open opens a store and closes it at the end of the test. It logs nothing unless o has a logger.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func put(key string, value []byte) store.Batch {
	return store.Batch{Then: []store.Op{{Put: &store.Record{Key: key, Value: value}}}}
}

// 64 writers share transactions, and so fsyncs.
func TestGroups(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for n := range 8 {
				if err := s.Commit(t.Context(), put(fmt.Sprint(i, "/", n), []byte("v"))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	st := s.Stats()
	if st.Batches != 64*8 || st.Transactions > st.Batches/2 {
		t.Errorf("got %d batches in %d transactions, want 512 in at most half as many", st.Batches, st.Transactions)
	}
}

// Batches too large for one transaction are split over several, and all are applied.
func TestSplitsLargeGroups(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			if err := s.Commit(t.Context(), put(fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, store.MaxValue))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 24 {
		r, err := s.Get(t.Context(), fmt.Sprint(i))
		if err != nil || len(r[0].Value) != store.MaxValue || r[0].Value[0] != byte(i) {
			t.Errorf("record %d: got %d bytes and %v, want %d bytes", i, len(r[0].Value), err, store.MaxValue)
		}
	}
}

// A failed batch does not affect the others of its group, which see each other's changes.
func TestGroupSeesItself(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	ctx := t.Context()
	first := put("k", []byte("1"))
	first.If = []store.Check{{Key: "k"}}
	second := put("k", []byte("2"))
	second.If = []store.Check{{Key: "k"}}
	third := put("other", nil)
	third.Then = append(third.Then, store.Op{Put: &store.Record{Key: "job", Queue: "q"}})
	jobs := &claim{queue: "q", n: 1, lease: time.Minute}
	var requests []*request
	for _, w := range []work{newCommit(first), newCommit(second), newCommit(third), jobs} {
		requests = append(requests, &request{ctx: ctx, work: w, done: make(chan error, 1)})
	}
	before := s.Stats().Transactions
	if rest := s.settle(requests); len(rest) != 0 { // the writer is idle
		t.Fatalf("got %d requests left, want 0", len(rest))
	}
	if n := s.Stats().Transactions - before; n != 1 {
		t.Errorf("got %d transactions, want 1", n)
	}
	for i, want := range []bool{true, false, true, true} {
		err := <-requests[i].done
		if conflict := (*store.Conflict)(nil); want != (err == nil) || !want && !errors.As(err, &conflict) {
			t.Errorf("request %d: got %v, want success %v", i, err, want)
		}
	}
	r, err := s.Get(ctx, "k", "other", "job")
	if err != nil || string(r[0].Value) != "1" || r[1].Version == 0 {
		t.Errorf("got %+v and %v, want k with value 1 and the other record", r, err)
	}
	if len(jobs.claimed) != 1 || jobs.claimed[0].Version != r[2].Version {
		t.Errorf("got claimed %+v and stored %+v, want the same version", jobs.claimed, r[2])
	}
}

func TestFullDisk(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 40)
	s := open(t, Options{Dir: t.TempDir(), free: func(string) (uint64, error) { return free.Load(), nil }})
	if err := s.Commit(t.Context(), put("before", nil)); err != nil {
		t.Fatal(err)
	}
	free.Store(DefaultMinFree - 1)
	err := s.Commit(t.Context(), put("during", nil))
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), s.dir) {
		t.Errorf("Commit to a full disk: got %v, want ErrUnavailable that names the directory and the remedy", err)
	}
	if _, err = s.Claim(t.Context(), "q", 1, time.Minute); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Claim on a full disk: got %v, want ErrUnavailable", err)
	}
	r, err := s.Get(t.Context(), "before", "during")
	if err != nil || r[0].Version == 0 || r[1].Version != 0 {
		t.Errorf("Get on a full disk: got %+v, %v, want the record from before only", r, err)
	}
	free.Store(DefaultMinFree)
	if err := s.Commit(t.Context(), put("after", nil)); err != nil {
		t.Errorf("Commit after room was made: %v", err)
	}
	if _, err := Open(t.Context(), Options{Dir: t.TempDir(), MinFree: 1 << 62}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open on a full disk: got %v, want ErrUnavailable", err)
	}
}

// After Badger failed to write, nothing is served that might not be on the disk.
func TestFailedWriteIsTheLastWord(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	if err := s.Commit(t.Context(), put("k", nil)); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("input/output error")
	if err := s.fail(cause); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, cause) {
		t.Error(err)
	}
	if err := s.Commit(t.Context(), put("l", nil)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit after a failed write: got %v, want ErrUnavailable", err)
	}
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Get after a failed write: got %v, want ErrUnavailable", err)
	}
}

// Records that moved, were claimed, expired or were deleted leave nothing in Badger; only the store's records about
// itself remain.
func TestLeavesNothingBehind(t *testing.T) {
	now := time.Now()
	s := open(t, Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	commit := func(ops ...store.Op) {
		t.Helper()
		if err := s.Commit(t.Context(), store.Batch{Then: ops}); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(want int) {
		t.Helper()
		if r, err := s.Claim(t.Context(), "q", 9, time.Second); err != nil || len(r) != want {
			t.Fatalf("Claim: got %d records and %v, want %d", len(r), err, want)
		}
	}
	commit(store.Op{Put: &store.Record{Key: "k", Index: "i", Queue: "old"}}, store.Op{Put: &store.Record{Key: "l", Index: "i", Queue: "q", Expires: now.Add(time.Minute)}})
	commit(store.Op{Put: &store.Record{Key: "k", Index: "j", Queue: "q"}})
	claim(2)
	now = now.Add(time.Minute)
	claim(1) // which deletes the other
	commit(store.Op{Delete: "k"})
	err := s.read(t.Context(), func(tx *transaction) error {
		for name := range tx.names(nil, nil) {
			if name[0] != aboutPrefix {
				t.Errorf("key %q is left in Badger, want none but the store's own", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Badger or the store syncs before a commit is acknowledged, and no value goes to the value log, where a failed write
// would go unnoticed.
func TestDurableSettings(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	if byBadger, byStore := s.db.Opts().SyncWrites, s.live.file != nil; byBadger == byStore {
		t.Errorf("got commits synced by Badger %v and by the store %v, want one of them", byBadger, byStore)
	}
	if err := s.Commit(t.Context(), put("k", make([]byte, store.MaxValue))); err != nil {
		t.Fatal(err)
	}
	if _, vlog := s.db.Size(); vlog > 4<<20 {
		t.Errorf("got a value log of %d bytes, want it unused", vlog)
	}
	if limit := s.db.Opts().ValueThreshold; limit <= headSize+2*store.MaxKey+store.MaxValue {
		t.Errorf("values of more than %d bytes would go to the value log, want none to", limit)
	}
}
