package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dd2befc3/countersign/audit"
)

// newFiles makes a log start a new file with each entry.
func newFiles(o *audit.Options) { o.FileSize = 1 }

// A crash can cut off the first line of a new file: the chain then continues from the file before it.
func TestTornFirstLineOfANewFile(t *testing.T) {
	for name, left := range map[string]string{"nothing of it": "", "a part of it": `{"seq":9,"ti`} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), newSigner(t)
			log := open(t, dir, s, newFiles)
			fill(t, log, 3)
			closeLog(t, log)
			files, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
			if err != nil || len(files) != 5 { // three entries, the key and the head
				t.Fatal(files, err)
			}
			if err := os.WriteFile(filepath.Join(dir, "audit-000006.jsonl"), []byte(left), 0o600); err != nil {
				t.Fatal(err)
			}
			log = open(t, dir, s, newFiles)
			fill(t, log, 1)
			closeLog(t, log)
			if report, err := audit.Verify(dir, s.by(t)); err != nil || report.Unsigned != 0 {
				t.Errorf("got report %+v and %v, want nothing unsigned", report, err)
			}
		})
	}
}

// If a new file cannot be created the entry is refused; the next one is accepted once it can be.
func TestNewFileFails(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	log := open(t, dir, s, newFiles)
	fill(t, log, 1)
	inTheWay := filepath.Join(dir, "audit-000003.jsonl")
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), "signing", 1); err == nil {
		t.Fatal("entry for a file that cannot be created: got no error, want one")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	fill(t, log, 2)
	closeLog(t, log)
	if report, err := audit.Verify(dir, s.by(t)); err != nil || report.Entries != 13 { // three records, an interruption, and the entries at the start of each of five files
		t.Errorf("got report %+v and %v, want 13 entries", report, err)
	}
}

// away is a signer that always fails, and counts its calls.
type away struct {
	*signer
	asked int
}

func (a *away) SignAll(context.Context, []byte) ([]audit.Signature, error) {
	a.asked++
	return nil, errors.New("storage is away")
}

// A failing signer, which may take its time to fail, is not called again for each entry.
func TestSignerAwayForLong(t *testing.T) {
	s := &away{signer: newSigner(t)}
	log, err := audit.Open(audit.Options{Dir: t.TempDir(), Signer: s, HeadEvery: 10})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, log, 35)
	closeLog(t, log)
	if s.asked > 5 { // at the start, after 10, 20 and 30, and at the end
		t.Errorf("got %d calls for 35 entries, want at most 5", s.asked)
	}
}
