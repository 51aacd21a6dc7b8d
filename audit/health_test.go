package audit_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
)

// told collects log lines.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *told) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *told) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *told) of(o *audit.Options) {
	o.Logger = slog.New(slog.NewTextHandler(b, nil))
	o.Probe = time.Millisecond
}

func refused(t *testing.T, log *audit.Log, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := log.Append(ctx, "signing", 1); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one that contains %q", err, want)
	}
}

// No entry is acknowledged that is not at the log's path: if the file is moved, deleted, replaced or cut while the gateway
// runs, entries are refused until the file is back as it was.
func TestTheFileIsInPlace(t *testing.T) {
	for name, row := range map[string]struct {
		damage func(t *testing.T, path string) (undo func() error)
		want   string
	}{
		"moved": {func(t *testing.T, path string) func() error {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			return func() error { return os.Rename(path+".away", path) }
		}, "is gone"},
		"replaced by a copy": {func(t *testing.T, path string) func() error {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			return func() error { return os.Rename(path+".away", path) }
		}, "was replaced or changed"},
		"cut": {func(t *testing.T, path string) func() error {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, int64(len(text)/2)); err != nil {
				t.Fatal(err)
			}
			return func() error { return os.WriteFile(path, text, 0o600) }
		}, "was replaced or changed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, said := newSigner(t), &told{}
			log := open(t, t.TempDir(), s, said.of)
			fill(t, log, 2)
			undo := row.damage(t, filepath.Join(log.Dir, "audit-000001.jsonl"))
			refused(t, log, row.want)
			refused(t, log, row.want)
			if got := log.Health().Error; !strings.Contains(got, row.want) {
				t.Errorf("got health %q, want %q", got, row.want)
			}
			if err := undo(); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool { return log.Health().Error == "" }) // without an Append
			fill(t, log, 1)
			closeLog(t, log)
			holds(t, log.Dir, s.by(t), "")
			if got := kinds(t, log.Dir); got != "log key head signing signing interrupted signing head" {
				t.Errorf("got entries %s", got)
			}
			if text := said.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "the audit log can be written again") {
				t.Errorf("got log:\n%s\nwant one error and the recovery", text)
			}
		})
	}
}

// A disk that refuses writes is noticed before an entry is needed.
func TestProbe(t *testing.T) {
	s, said := newSigner(t), &told{}
	log := open(t, t.TempDir(), s, said.of)
	inTheWay, full := filepath.Join(log.Dir, "probe"), filepath.Join(t.TempDir(), "full")
	if err := os.MkdirAll(filepath.Join(full, "of something"), 0o700); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return os.Rename(full, inTheWay) == nil }) // when no probe file is there
	until(t, func() bool { return log.Health().Error != "" })
	until(t, func() bool { return os.RemoveAll(inTheWay) == nil }) // a probe may come in between and remove the empty directory
	until(t, func() bool { return log.Health().Error == "" })
	closeLog(t, log)
	if text := said.String(); strings.Count(text, "level=ERROR") != 1 {
		t.Errorf("got log:\n%s\nwant one error", text)
	}
	if _, err := os.Stat(inTheWay); !os.IsNotExist(err) {
		t.Errorf("probe file is left (%v)", err)
	}
}
