package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dd2befc3/countersign/audit"
)

// newFiles has a log begin a new file with each entry.
func newFiles(o *audit.Options) { o.FileSize = 1 }

// A crash can cut off the first line of a file that was just begun: the chain goes on from the file before it.
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
				t.Errorf("%+v %v", report, err)
			}
		})
	}
}

// Where a new file cannot be begun the entry is refused, and the next one is taken once it can.
func TestNewFileFails(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	log := open(t, dir, s, newFiles)
	fill(t, log, 1)
	inTheWay := filepath.Join(dir, "audit-000003.jsonl")
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), "signing", 1); err == nil {
		t.Fatal("an entry was taken for a file that is not there")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	fill(t, log, 2)
	closeLog(t, log)
	if report, err := audit.Verify(dir, s.by(t)); err != nil || report.Entries != 13 { // three records, an interruption, and what stands in each of five files
		t.Errorf("%+v %v", report, err)
	}
}

// away is a signer that takes no heads, and counts how often it is asked.
type away struct {
	*signer
	asked int
}

func (a *away) SignAll(context.Context, []byte) ([]audit.Signature, error) {
	a.asked++
	return nil, errors.New("storage is away")
}

// A signer that is away, and may take its time to say so, is not asked again with each entry.
func TestSignerAwayForLong(t *testing.T) {
	s := &away{signer: newSigner(t)}
	log, err := audit.Open(audit.Options{Dir: t.TempDir(), Signer: s, HeadEvery: 10})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, log, 35)
	closeLog(t, log)
	if s.asked > 5 { // at the start, after 10, 20 and 30, and at the end
		t.Errorf("asked %d times for 35 entries", s.asked)
	}
}
