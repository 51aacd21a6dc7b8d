package badger

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// abandoned returns the directory and the log of a store as a killed process leaves it: with the records k0 to kN-1, in
// one transaction each, in the log.
func abandoned(t *testing.T, n int) (dir, log string) {
	t.Helper()
	live := t.TempDir()
	s := open(t, Options{Dir: live})
	for i := range n {
		if err := s.Commit(t.Context(), put(fmt.Sprint("k", i), bytes.Repeat([]byte{byte(i + 1)}, 300))); err != nil {
			t.Fatal(err)
		}
	}
	dir = filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("got logs %v, %v, want one", logs, err)
	}
	return dir, logs[0]
}

// edit changes a file.
func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// spansOf returns the whole transactions of a log. The first is the store's own, about its schema.
func spansOf(t *testing.T, path string) []span {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spans := readWAL(b)
	if slices.ContainsFunc(spans, func(s span) bool { return s.txn == 0 }) {
		t.Fatalf("whole log: got spans %+v", spans)
	}
	return spans
}

func TestDamage(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 1; return b }
	}
	zero := func(begin, end int) func([]byte) []byte {
		return func(b []byte) []byte { clear(b[begin:end]); return b }
	}
	const records = 6 // so spans 1 to 6 are k0 to k5
	for name, fault := range map[string]struct {
		change  func(spans []span) func([]byte) []byte
		refused bool
		lost    []string // by Badger if it is opened, otherwise by Repair
	}{
		"a byte of a value in the middle":    {func(s []span) func([]byte) []byte { return flip(s[3].begin + 200) }, true, []string{"k2"}},
		"a byte of a length in the middle":   {func(s []span) func([]byte) []byte { return flip(s[3].begin + 2) }, true, []string{"k2"}},
		"a hole over two":                    {func(s []span) func([]byte) []byte { return zero(s[2].begin+10, s[3].end) }, true, []string{"k1", "k2", "k3"}},
		"the store's own first":              {func(s []span) func([]byte) []byte { return flip(s[0].begin + 3) }, true, nil},
		"the first record":                   {func(s []span) func([]byte) []byte { return flip(s[1].begin + 3) }, true, []string{"k0"}},
		"the last but one":                   {func(s []span) func([]byte) []byte { return flip(s[5].begin + 200) }, true, []string{"k4"}},
		"the last: torn, as far as one sees": {func(s []span) func([]byte) []byte { return flip(s[6].begin + 200) }, false, []string{"k5"}},
		"the last, cut off":                  {func(s []span) func([]byte) []byte { return zero(s[6].begin+100, s[6].end) }, false, []string{"k5"}},
		"the last, its beginning not written": {
			func(s []span) func([]byte) []byte { return zero(s[6].begin, s[6].begin+100) }, false, []string{"k5"}},
		"nothing": {func([]span) func([]byte) []byte { return func(b []byte) []byte { return b } }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir, log := abandoned(t, records)
			edit(t, log, fault.change(spansOf(t, log)))
			var told bytes.Buffer
			o := Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&told, nil)), Wait: 10 * time.Second}
			if fault.refused {
				_, err := Open(t.Context(), o)
				if !errors.Is(err, ErrDamaged) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), filepath.Base(log)) {
					t.Fatalf("Open of a damaged store: got %v, want ErrDamaged that names the log", err)
				}
				if _, kept, err := Repair(dir, time.Now()); err != nil || len(kept) != 1 {
					t.Fatalf("Repair: got %v, %v, want one log kept", kept, err)
				}
				if losses, err := Inspect(dir); err != nil || len(losses) > 0 {
					t.Errorf("Inspect after Repair: got %v, %v, want no losses", losses, err)
				}
			}
			s := open(t, o)
			if got := missing(t, s, records); !slices.Equal(got, fault.lost) {
				t.Errorf("got lost %v, want %v", got, fault.lost)
			}
			if tail := !fault.refused && len(fault.lost) > 0; tail != strings.Contains(told.String(), "dropped the end of a log") {
				t.Errorf("got log %q, want a warning about a dropped end: %v", &told, tail)
			}
		})
	}
}

func missing(t *testing.T, s *Store, records int) []string {
	t.Helper()
	var gone []string
	for i := range records {
		key := fmt.Sprint("k", i)
		r, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if r[0].Version == 0 {
			gone = append(gone, key)
		}
	}
	return gone
}

// The end of an older log is not an interrupted write: it was on the disk before the newer log was created.
func TestDamageAtTheEndOfAnOlderLog(t *testing.T) {
	dir, log := abandoned(t, 3)
	newer, other := abandoned(t, 3)
	edit(t, log, func(b []byte) []byte { b[spansOf(t, log)[3].begin+200] ^= 1; return b })
	if err := os.Rename(other, filepath.Join(dir, "99999.mem")); err != nil {
		t.Fatal(err, newer)
	}
	losses, err := Inspect(dir)
	if err != nil || len(losses) != 1 || !losses[0].Damage || losses[0].File != filepath.Base(log) {
		t.Errorf("got %+v, %v, want damage to the older log", losses, err)
	}
}

// filled returns the directory of a properly closed store with tables.
func filled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 3 {
		s := open(t, Options{Dir: dir})
		if err := errors.Join(s.Commit(t.Context(), put(fmt.Sprint("k", i), bytes.Repeat([]byte("v"), 5000))), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Damage anywhere in a table is reported, and does not end the process.
func TestDamagedTable(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"its first block":          func(b []byte) []byte { b[100] ^= 1; return b },
		"a block":                  func(b []byte) []byte { b[len(b)/3] ^= 1; return b },
		"the length in its footer": func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
		"cut off":                  func(b []byte) []byte { return b[:len(b)/2] },
		"empty":                    func([]byte) []byte { return nil },
		"gone":                     nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, Options{Dir: dir})
			for i := range 40 {
				if err := s.Commit(t.Context(), put(fmt.Sprint("k", i), bytes.Repeat([]byte("v"), 5000))); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatal(tables, err)
			}
			if change == nil {
				err = os.Remove(tables[0])
			} else {
				edit(t, tables[0], change)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Wait: 100 * time.Millisecond})
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "backup") || !strings.Contains(err.Error(), filepath.Base(tables[0])) {
				t.Errorf("Open with a damaged table: got %v, want ErrDamaged that names the table", err)
			}
			if _, _, err := Repair(dir, time.Now()); !errors.Is(err, ErrDamaged) {
				t.Errorf("Repair: got %v, want ErrDamaged", err)
			}
		})
	}
}

// A missing file is noticed even if the others are not damaged.
func TestMissingFiles(t *testing.T) {
	remove := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			found, err := filepath.Glob(filepath.Join(dir, name))
			if err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			if err := os.Remove(found[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		repair bool
		lost   []string
	}{
		"the log":            {remove("*.mem"), true, []string{"k0", "k1", "k2", "k3"}},
		"the list of tables": {remove(manifestName), false, nil},
		"the table before the log, of a list that does not name it any more": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, manifestName), func(b []byte) []byte { return b[:manifestHead+readFrame(b[manifestHead:])] })
		}, true, []string{"t"}},
	} {
		t.Run(name, func(t *testing.T) {
			live := t.TempDir()
			s := open(t, Options{Dir: live}) // one record in a table, four in a log
			if err := errors.Join(s.Commit(t.Context(), put("t", nil)), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = open(t, Options{Dir: live})
			for i := range 4 {
				if err := s.Commit(t.Context(), put(fmt.Sprint("k", i), nil)); err != nil {
					t.Fatal(err)
				}
			}
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
				t.Fatal(err)
			}
			if losses, err := Inspect(dir); err != nil || len(losses) > 0 {
				t.Fatalf("Inspect of a whole store: got %v, %v, want no losses", losses, err)
			}
			c.change(t, dir)
			o := Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Wait: 100 * time.Millisecond}
			if _, err := Open(t.Context(), o); !errors.Is(err, ErrDamaged) {
				t.Errorf("Open: got %v, want ErrDamaged", err)
			}
			if _, _, err := Repair(dir, time.Now()); (err == nil) != c.repair {
				t.Fatalf("Repair: got %v, want success %v", err, c.repair)
			}
			if !c.repair {
				return
			}
			o.Wait = 10 * time.Second
			s = open(t, o)
			var lost []string
			for _, key := range []string{"t", "k0", "k1", "k2", "k3"} {
				if r, err := s.Get(t.Context(), key); err != nil || r[0].Version == 0 {
					lost = append(lost, key)
				}
			}
			if !slices.Equal(lost, c.lost) {
				t.Errorf("got lost %v, want %v", lost, c.lost)
			}
		})
	}
}

func TestDamagedManifest(t *testing.T) {
	for name, at := range map[string]func(b []byte) int{
		"a length": func([]byte) int { return manifestHead + 3 },
		"a change": func([]byte) int { return manifestHead + frameHead + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			edit(t, filepath.Join(dir, manifestName), func(b []byte) []byte { b[at(b)] ^= 4; return b })
			_, err := Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Wait: 100 * time.Millisecond})
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("Open: got %v, want ErrDamaged", err)
			}
			if _, _, err := Repair(dir, time.Now()); !errors.Is(err, ErrDamaged) {
				t.Errorf("Repair: got %v, want ErrDamaged", err)
			}
		})
	}
}

func TestRepairNeedsTheStoreForItself(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	if _, _, err := Repair(s.dir, time.Now()); !errors.Is(err, errInUse) {
		t.Errorf("Repair of an open store: got %v, want errInUse", err)
	}
}

func FuzzReadWAL(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{metaPart}, 100))
	f.Fuzz(func(t *testing.T, log []byte) {
		end := 0
		for _, s := range readWAL(log) {
			if s.begin < end || s.end <= s.begin || s.end > len(log) {
				t.Fatalf("got span %+v after %d, want spans in order and inside of the log", s, end)
			}
			end = s.end
		}
	})
}
