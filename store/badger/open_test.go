package badger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/store"
)

func TestSecondOpener(t *testing.T) {
	dir := t.TempDir()
	first := open(t, Options{Dir: dir})
	o := Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Wait: 200 * time.Millisecond}
	_, err := Open(t.Context(), o)
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "in use by another") || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second Open: got %v, want ErrUnavailable that names the directory", err)
	}

	// An Open during the Close of the first store waits for it.
	second := make(chan error)
	go func() {
		s, err := Open(t.Context(), Options{Dir: dir, Logger: o.Logger, Wait: time.Minute})
		if err == nil {
			err = s.Close()
		}
		second <- err
	}()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := <-second; err != nil {
		t.Errorf("Open during the Close of another: %v", err)
	}
}

// A crash between creating and filling a memtable's file leaves an empty file, on which Badger fails once.
func TestHalfMadeMemtable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if err := errors.Join(s.Commit(t.Context(), put("k", nil)), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "00077.mem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir})
	if r, err := s.Get(t.Context(), "k"); err != nil || r[0].Version == 0 {
		t.Errorf("got %+v, %v, want record k", r, err)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Wait: time.Hour}); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

func TestDirectory(t *testing.T) {
	parent := t.TempDir()
	perm := func(dir string) os.FileMode {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	made := filepath.Join(parent, "made", "store")
	open(t, Options{Dir: made})
	loose := filepath.Join(parent, "loose")
	if err := os.Mkdir(loose, 0o755); err != nil { //nolint:gosec // to be restricted
		t.Fatal(err)
	}
	var log bytes.Buffer
	open(t, Options{Dir: loose, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if runtime.GOOS != "windows" && (perm(made) != 0o700 || perm(loose) != 0o700) {
		t.Errorf("got modes %o and %o, want 700", perm(made), perm(loose))
	}
	if !strings.Contains(log.String(), "only its owner") || strings.Contains(log.String(), "badger:") {
		t.Errorf("got log %q, want the restricted directory and nothing of Badger", log.String())
	}

	theirs := filepath.Join(parent, "theirs")
	if err := os.MkdirAll(filepath.Join(theirs, "documents"), 0o755); err != nil { //nolint:gosec // not to be changed
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: theirs}); err == nil || perm(theirs) != 0o755 {
		t.Errorf("Open of a foreign directory: got %v and mode %o, want an error and mode 755", err, perm(theirs))
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file} {
		if _, err := Open(t.Context(), Options{Dir: dir}); err == nil {
			t.Errorf("Open(%q): got no error, want one", dir)
		}
	}
}

func TestSchema(t *testing.T) {
	write := func(key []byte, n uint64) string {
		dir := t.TempDir()
		db, err := engine.Open(tuned(dir, slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(txn *engine.Txn) error { return txn.Set(key, binary.BigEndian.AppendUint64(nil, n)) })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct {
		name, dir, want string
	}{
		{"newer", write(aboutKey(aboutSchema), uint64(len(migrations))+2), "newer version of this program (schema 2, this one supports 1)"},
		{"foreign", write([]byte("someone's"), 1), "other contents"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the first attempt neither changes nor keeps it
				_, err := Open(t.Context(), Options{Dir: c.dir, Logger: slog.New(slog.DiscardHandler)})
				if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
			}
		})
	}
}

// Close gives up if the directory is gone: Badger alone would retry for ever.
func TestCloseIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), patience: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Commit(t.Context(), put("k", nil)), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "given up") {
		t.Errorf("Close: got %v, want ErrUnavailable that says given up", err)
	}
}
