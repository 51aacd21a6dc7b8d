package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
)

func TestWrittenIsVerified(t *testing.T) {
	dir, s := filepath.Join(t.TempDir(), "audit"), newSigner(t)
	log := open(t, dir, s, func(o *audit.Options) { o.HeadEvery = 10 })
	fill(t, log, 25)
	closeLog(t, log)
	log = open(t, dir, s, nil) // continues the existing log
	fill(t, log, 5)
	closeLog(t, log)
	report, err := audit.Verify(dir, s.by(t))
	if err != nil {
		t.Fatal(err)
	}
	// 30 records, 5 heads, the log's name, twice, and a key.
	if report.Node != "gw-1" || report.Entries != 38 || report.Heads != 5 || report.Unsigned != 0 || len(report.Unknown) != 0 {
		t.Errorf("report: %+v", report)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory mode %v (%v), want no access for others", info.Mode(), err)
	}
}

func TestManyWritersOneChain(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	log := open(t, dir, s, func(o *audit.Options) { o.FileSize = 4 << 10 })
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := log.Append(t.Context(), "signing", i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closeLog(t, log)
	if _, err := log.Append(t.Context(), "signing", 0); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Append to a closed log: got %v, want ErrClosed", err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if len(files) < 3 {
		t.Errorf("got %d files, want at least 3 of 4 KiB", len(files))
	}
	counted := 0
	if err := audit.Read(dir, func(e audit.Entry) error {
		if e.Kind == "signing" {
			counted++
		}
		return nil
	}); err != nil || counted != 800 {
		t.Errorf("got %d entries, want 800: %v", counted, err)
	}
	if _, err := audit.Verify(dir, s.by(t)); err != nil {
		t.Error(err)
	}
}

// Whatever is changed in a log afterwards is found, with its line.
func TestTampering(t *testing.T) {
	first := func(text []byte) []byte { return bytes.Replace(text, []byte(`"n":3`), []byte(`"n":4`), 1) }
	lines := func(text []byte) [][]byte { return bytes.SplitAfter(text, []byte("\n")) }
	for name, damage := range map[string]func([]byte) []byte{
		"a value changed":       first,
		"a line taken out":      func(text []byte) []byte { l := lines(text); return bytes.Join(append(l[:4:4], l[5:]...), nil) },
		"two lines exchanged":   func(text []byte) []byte { l := lines(text); l[4], l[5] = l[5], l[4]; return bytes.Join(l, nil) },
		"a line doubled":        func(text []byte) []byte { l := lines(text); return bytes.Join(append(l[:5:5], l[4:]...), nil) },
		"the beginning cut off": func(text []byte) []byte { return bytes.Join(lines(text)[2:], nil) },
		"a member added": func(text []byte) []byte {
			return bytes.Replace(text, []byte(`{"seq":4,`), []byte(`{"seq":4,"x":1,`), 1)
		},
		"not JSON any more":      func(text []byte) []byte { return append([]byte("{\n"), text...) },
		"chained anew, unsigned": func(text []byte) []byte { return rechain(t, first(text)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), newSigner(t)
			log := open(t, dir, s, nil)
			fill(t, log, 10)
			closeLog(t, log)
			file := filepath.Join(dir, "audit-000001.jsonl")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := audit.Verify(dir, s.by(t)); err == nil || !strings.Contains(err.Error(), "line ") {
				t.Errorf("Verify: got %v, want an error that names the line", err)
			}
			if _, err := audit.Verify(dir, audit.Evidence{}); err == nil {
				t.Error("Verify without trusted keys: got no error, want one")
			}
		})
	}
}

// rechain gives every line a matching hash again, as somebody with access to the directory but without the gateway's
// key could.
func rechain(t *testing.T, text []byte) []byte {
	t.Helper()
	f := forge(t, nil)
	for line := range bytes.Lines(text) {
		var e audit.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		f.at = e.Time
		f.put(e.Kind, e.Data)
	}
	return f.text
}

func TestKeyRotation(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	log := open(t, dir, s, nil)
	fill(t, log, 3)
	closeLog(t, log)
	s.rotate(t)
	log = open(t, dir, s, nil)
	fill(t, log, 3)
	closeLog(t, log)
	report, err := audit.Verify(dir, s.by(t))
	if err != nil || len(report.KIDs) != 2 || len(report.Unknown) != 0 {
		t.Errorf("got report %+v and %v, want two known kids", report, err)
	}
	stranger := newSigner(t) // its key-1 is a different key
	if _, err := audit.Verify(dir, stranger.by(t)); err == nil {
		t.Error("log by another gateway's key of the same name: got no error, want one")
	}
}

// If a head cannot be signed, the log goes on, and a later head covers the entries.
func TestSignerAway(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	s.away(errors.New("storage is away"))
	var told bytes.Buffer
	log := open(t, dir, s, func(o *audit.Options) {
		o.HeadEvery, o.Logger = 2, slog.New(slog.NewTextHandler(&told, nil))
	})
	fill(t, log, 3)
	s.away(nil)
	fill(t, log, 1)
	closeLog(t, log)
	if report, err := audit.Verify(dir, s.by(t)); err != nil || report.Unsigned != 0 {
		t.Errorf("got report %+v and %v, want every entry signed", report, err)
	}
	if !strings.Contains(told.String(), "storage is away") {
		t.Errorf("got log %q, want the reason why the head was not signed", told.String())
	}
}

func TestTornLineIsTakenOff(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	log := open(t, dir, s, nil)
	fill(t, log, 3)
	closeLog(t, log)
	file := filepath.Join(dir, "audit-000001.jsonl")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"seq":6,"ti`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	log = open(t, dir, s, nil)
	fill(t, log, 1)
	closeLog(t, log)
	recovered := false
	if err := audit.Read(dir, func(e audit.Entry) error {
		recovered = recovered || (e.Kind == "recovered" && string(e.Data) == `{"dropped_bytes":12}`)
		return nil
	}); err != nil || !recovered {
		t.Errorf("got recovered %v (%v), want an entry that says 12 bytes were dropped", recovered, err)
	}
	if _, err := audit.Verify(dir, s.by(t)); err != nil {
		t.Error(err)
	}
}

func TestRefusedAtOpen(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	log := open(t, dir, s, func(o *audit.Options) { o.FileSize = 1 })
	if _, err := audit.Open(audit.Options{Dir: dir, Signer: s}); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("second Open: got %v, want an error about another process", err)
	}
	fill(t, log, 3)
	closeLog(t, log)
	if err := os.Remove(filepath.Join(dir, "audit-000002.jsonl")); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(audit.Options{Dir: dir, Signer: s}); err == nil || !strings.Contains(err.Error(), "audit-000002.jsonl is missing") {
		t.Errorf("Open without a file: got %v, want an error that names it", err)
	}
}

// A failed write refuses the entry and leaves the chain as it was.
func TestWriteFails(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	log := open(t, dir, s, nil)
	fill(t, log, 2)
	if _, err := log.Append(t.Context(), "signing", strings.Repeat("x", 2<<20)); err == nil {
		t.Error("entry over the limit: got no error, want one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := log.Append(ctx, "signing", make(chan int)); err == nil {
		t.Error("data that is not JSON: got no error, want one")
	}
	fill(t, log, 2)
	closeLog(t, log)
	if report, err := audit.Verify(dir, s.by(t)); err != nil || report.Entries != 8 {
		t.Errorf("got report %+v and %v, want 8 entries", report, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2026-11-22T00:00:00Z","prev":"","kind":"a","data":1,"hash":"0"}` + "\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "audit-000001.jsonl"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		seq := uint64(0)
		_ = audit.Read(dir, func(e audit.Entry) error {
			if seq++; e.Seq != seq {
				t.Fatalf("got entry %d, want %d", e.Seq, seq)
			}
			return nil
		})
		_, _ = audit.Verify(dir, audit.Evidence{})
	})
}
