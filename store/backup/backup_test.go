package backup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/backup"
	"github.com/seed-dd2befc3/countersign/store/badger"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// filled returns a store with records of every kind.
func filled(t *testing.T) *memory.Store {
	t.Helper()
	s := memory.New(memory.Options{Now: clock})
	for i := range 40 {
		r := store.Record{Key: fmt.Sprintf("k%02d\xff\x00", i), Value: bytes.Repeat([]byte{byte(i)}, i*5000)}
		if i%2 == 0 {
			r.Queue, r.Due = "q", now.Add(time.Duration(i)*time.Second)
		}
		if i%3 == 0 {
			r.Index, r.Expires = "i\xfe", now.Add(time.Hour).Add(1)
		}
		if err := s.Commit(t.Context(), store.Batch{Then: []store.Op{{Put: &r}}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func written(t *testing.T, from store.Dumper) []byte {
	t.Helper()
	var file bytes.Buffer
	summary, err := backup.Write(t.Context(), &file, from, now)
	if err != nil || summary.Records != 40 || !summary.Made.Equal(now) {
		t.Fatalf("got summary %+v and error %v, want 40 records", summary, err)
	}
	return file.Bytes()
}

func dump(t *testing.T, from store.Dumper) []store.Record {
	t.Helper()
	var all []store.Record
	err := from.Dump(t.Context(), func(r store.Record) error {
		r.Value, r.Version = bytes.Clone(r.Value), 0
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestThereAndBack(t *testing.T) {
	from := filled(t)
	onDisk, err := badger.Open(t.Context(), badger.Options{Dir: t.TempDir(), Now: clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = onDisk.Close() })
	inMemory := memory.New(memory.Options{Now: clock})
	file := written(t, from)
	for _, into := range []store.Store{onDisk, inMemory} {
		if summary, err := backup.Restore(t.Context(), bytes.NewReader(file), into); err != nil || summary.Records != 40 {
			t.Fatalf("restoring into %T: got %+v, %v, want 40 records", into, summary, err)
		}
		want, got := dump(t, from), dump(t, into.(store.Dumper))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%T: got %d records, want %d equal to those of the source", into, len(got), len(want))
		}
		if unfinished, err := backup.Unfinished(t.Context(), into); unfinished || err != nil {
			t.Errorf("Unfinished: got %v, %v, want false", unfinished, err)
		}
		if _, err := backup.Restore(t.Context(), bytes.NewReader(file), into); !errors.Is(err, backup.ErrNotEmpty) {
			t.Errorf("second restore: got %v, want ErrNotEmpty", err)
		}
	}
}

func TestRefused(t *testing.T) {
	good := written(t, filled(t))
	lines := strings.SplitAfter(unpacked(t, good), "\n")
	for name, file := range map[string][]byte{
		"nothing":             nil,
		"something else":      []byte("SQLite format 3\x00"),
		"cut short":           good[:len(good)-9],
		"cut in half":         good[:len(good)/2],
		"no last line":        packed(t, strings.Join(lines[:41], "")),
		"a record taken out":  packed(t, strings.Join(append(append([]string{}, lines[:5]...), lines[6:]...), "")),
		"a record twice":      packed(t, strings.Join(append(append([]string{}, lines[:6]...), lines[5:]...), "")),
		"a later format":      packed(t, `{"format":2,"made":"2026-11-22T09:00:00Z"}`+"\n"),
		"something behind it": packed(t, strings.Join(lines, "")+"more\n"),
		"a value too large": packed(t, lines[0]+`{"key":"aw==","value":"`+strings.Repeat("AAAA", store.MaxValue/3+1)+`"}`+"\n"+
			lines[41]),
		"a line without end": packed(t, lines[0]+strings.Repeat("x", 2*store.MaxValue)),
		"an unknown member":  packed(t, lines[0]+`{"key":"aw==","value":"","colour":"red"}`+"\n"+lines[41]),
	} {
		t.Run(name, func(t *testing.T) {
			into := memory.New(memory.Options{Now: clock})
			if _, err := backup.Restore(t.Context(), bytes.NewReader(file), into); !errors.Is(err, backup.ErrUnreadable) {
				t.Errorf("Restore: got %v, want ErrUnreadable", err)
			}
			if got := dump(t, into); len(got) != 0 {
				t.Errorf("got %d records after a rejected restore, want 0", len(got))
			}
		})
	}
}

// An interrupted restore leaves a mark.
func TestUnfinished(t *testing.T) {
	into := failing{memory.New(memory.Options{Now: clock}), new(int)}
	_, err := backup.Restore(t.Context(), bytes.NewReader(written(t, filled(t))), into)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Restore into a failing store: got %v, want ErrUnavailable", err)
	}
	if unfinished, err := backup.Unfinished(t.Context(), into); !unfinished || err != nil {
		t.Errorf("Unfinished: got %v, %v, want true", unfinished, err)
	}
}

// failing is a store that accepts two batches.
type failing struct {
	*memory.Store
	batches *int
}

func (f failing) Commit(ctx context.Context, b store.Batch) error {
	if *f.batches++; *f.batches > 2 {
		return store.ErrUnavailable
	}
	return f.Store.Commit(ctx, b)
}

func unpacked(t *testing.T, file []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var file bytes.Buffer
	w := gzip.NewWriter(&file)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func FuzzCheck(f *testing.F) {
	f.Add(`{"format":1,"made":"2026-11-22T09:00:00Z"}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := backup.Check(bytes.NewReader(packed(t, text))); err != nil && !errors.Is(err, backup.ErrUnreadable) {
			t.Fatal(err)
		}
	})
}
