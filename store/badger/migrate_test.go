package badger

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/backup"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// A store with an older schema is backed up and migrated step by step; an interrupted migration is continued.
func TestMigrate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, Options{Dir: dir})
	if err := errors.Join(s.Commit(t.Context(), put("k", []byte("old"))), s.Close()); err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	fails := true
	var done []string
	rewrite := func(ctx context.Context, db *engine.DB) error { // rewrites each value in capitals
		done = append(done, "first")
		return db.Update(func(txn *engine.Txn) error {
			r := store.Record{Key: "k", Value: []byte("NEW")}
			return txn.Set(recordKey("k"), encode(&r))
		})
	}
	second := func(context.Context, *engine.DB) error {
		done = append(done, "second")
		if fails {
			return full
		}
		return nil
	}
	o := Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), migrations: []migration{rewrite, second}}
	if _, err := Open(t.Context(), o); !errors.Is(err, full) || !strings.Contains(err.Error(), "backup made before") {
		t.Fatalf("Open with a failing step: got %v, want its error and the backup", err)
	}
	fails = false
	s = open(t, o)
	if got := strings.Join(done, " "); got != "first second second" {
		t.Errorf("got steps %s, want first second second", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o) // without migrating again
	if r, err := s.Get(t.Context(), "k"); err != nil || string(r[0].Value) != "NEW" || len(done) != 3 {
		t.Errorf("got %+v, %v after the steps %v, want value NEW after 3 steps", r, err, done)
	}

	// The backup is from before the first step.
	f, err := os.Open(dir + ".schema-1.backup")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := memory.New(memory.Options{})
	if _, err := backup.Restore(t.Context(), f, before); err != nil {
		t.Fatal(err)
	}
	if r, err := before.Get(t.Context(), "k"); err != nil || string(r[0].Value) != "old" {
		t.Errorf("backup: got %+v, %v, want value old", r, err)
	}

	// A version without these steps no longer opens it.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir, Logger: o.Logger}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("Open by an older version: got %v, want an error about a newer version", err)
	}
}
