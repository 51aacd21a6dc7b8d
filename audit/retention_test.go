package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/audit"
)

// closedLog returns an open log with some closed files.
func closedLog(t *testing.T, s *signer, n int) (*audit.Log, []audit.File) {
	t.Helper()
	log := open(t, t.TempDir(), s, newFiles)
	fill(t, log, n)
	closed, err := audit.Closed(log.Dir)
	if err != nil || len(closed) != n {
		t.Fatalf("got %d closed files (%v), want %d", len(closed), err, n)
	}
	return log, closed
}

func position(f audit.File) audit.Position {
	return audit.Position{Node: "gw-1", Number: f.Last, Hash: f.Hash}
}

// Removed files are not missed, because a signed record covers them. Earlier heads after them stay valid.
func TestRemove(t *testing.T) {
	s := newSigner(t)
	log, closed := closedLog(t, s, 5)
	whole := crashed(t, log.Dir)
	if err := log.Remove(t.Context(), closed[:2], "keep"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(log.Dir, "audit-*.jsonl"))
	if err != nil || filepath.Base(files[0]) != "audit-000003.jsonl" {
		t.Errorf("got first files %v (%v), want audit-000003.jsonl first", files, err)
	}
	report := holds(t, log.Dir, s.by(t, position(closed[0]), position(closed[1]), position(closed[3])), "")
	if report.From != closed[1].Last+1 || len(report.Removals) != 1 || report.Removals[0].Through != closed[1].Last {
		t.Errorf("got report %+v, want one removal", report)
	}
	inside := entries(t, whole)[closed[0].Last-2]
	gone := audit.Position{Node: "gw-1", Number: inside.Seq, Hash: inside.Hash}
	holds(t, whole, s.by(t, gone), "")
	holds(t, log.Dir, s.by(t, gone), "with which the log begins since earlier files were removed, as entry")

	closeLog(t, log)
	log = open(t, log.Dir, s, newFiles) // continues the existing log
	fill(t, log, 2)
	left, err := audit.Closed(log.Dir)
	if err != nil || left[0].Name != "audit-000003.jsonl" {
		t.Fatalf("got closed files %+v (%v), want audit-000003.jsonl first", left, err)
	}
	if err := log.Remove(t.Context(), left[:1], "keep"); err != nil {
		t.Fatal(err)
	}
	closeLog(t, log)
	if report := holds(t, log.Dir, s.by(t), ""); report.From != left[0].Last+1 || len(report.Removals) != 2 {
		t.Errorf("after the second removal: got report %+v, want two removals", report)
	}
}

// Files that were restored, or left by a crash, do no harm.
func TestRemovedFilesThatAreThere(t *testing.T) {
	s := newSigner(t)
	log, closed := closedLog(t, s, 4)
	whole := crashed(t, log.Dir)
	if err := log.Remove(t.Context(), closed[:3], "keep"); err != nil {
		t.Fatal(err)
	}
	closeLog(t, log)
	for _, name := range []string{"audit-000003.jsonl", "audit-000002.jsonl", "audit-000001.jsonl"} {
		text, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(log.Dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		holds(t, log.Dir, s.by(t), "")
	}
}

// Files missing for any other reason are noticed.
func TestFilesTakenAway(t *testing.T) {
	s := newSigner(t)
	log, closed := closedLog(t, s, 5)
	closeLog(t, log)
	dir := crashed(t, log.Dir)
	for _, name := range []string{"audit-000001.jsonl", "audit-000002.jsonl"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "are missing, and no signed record says that they were removed"
	holds(t, dir, s.by(t), want)
	plant(t, dir, "removed", map[string]any{"files": closed[:2], "why": "keep"})
	holds(t, dir, s.by(t), want) // no head signs that record
}

// Remove refuses during a hold, for files that are not the oldest, and if the record cannot be signed.
func TestWhatIsNotRemoved(t *testing.T) {
	s := newSigner(t)
	log, closed := closedLog(t, s, 4)
	refused := func(files []audit.File, want string) {
		t.Helper()
		if err := log.Remove(t.Context(), files, "keep"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one that contains %q", err, want)
		}
		if left, err := audit.Closed(log.Dir); err != nil || left[0] != closed[0] {
			t.Errorf("got closed files %v (%v), want none removed", left, err)
		}
	}
	refused(closed[1:2], "audit-000002.jsonl is not among the oldest files")
	other := closed[0]
	other.Hash = closed[1].Hash
	refused([]audit.File{other}, "audit-000001.jsonl is not among the oldest files")
	s.away(errors.New("storage is away"))
	refused(closed[:1], "nothing was removed, because no head signs the record of it: storage is away")
	s.away(nil)
	if err := log.Hold(t.Context(), "claim 4711"); err != nil {
		t.Fatal(err)
	}
	refused(closed[:1], audit.ErrHeld.Error())
	if held, err := audit.Held(log.Dir); err != nil || held == nil || held.Reason != "claim 4711" || held.Since.IsZero() {
		t.Errorf("got hold %+v (%v), want its reason and time", held, err)
	}
	closeLog(t, log)
	log = open(t, log.Dir, s, newFiles) // a hold outlives the process
	refused(closed[:1], audit.ErrHeld.Error())
	for range 2 {
		if err := log.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(log.Dir, "hold"), nil, 0o600); err != nil { // placed by hand
		t.Fatal(err)
	}
	refused(closed[:1], audit.ErrHeld.Error())
	if err := log.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := log.Remove(t.Context(), closed[:1], "keep"); err != nil {
		t.Error(err)
	}
	closeLog(t, log)
	holds(t, log.Dir, s.by(t), "")
	if text := kinds(t, log.Dir); strings.Count(text, "hold") != 1 || strings.Count(text, "released") != 2 || strings.Count(text, "removed") != 2 {
		t.Errorf("got entries %s", text)
	}
}

// Find returns the place of an entry number.
func TestFind(t *testing.T) {
	s := newSigner(t)
	log, closed := closedLog(t, s, 3)
	all := entries(t, log.Dir)
	if err := log.Remove(t.Context(), closed[:1], "keep"); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		want := audit.There
		if e.Seq <= closed[0].Last {
			want = audit.Removed
		}
		if got, place, err := audit.Find(log.Dir, e.Seq); err != nil || place != want || (want == audit.There && got.Hash != e.Hash) {
			t.Errorf("entry %d: got %v at %v (%v), want %v at %v", e.Seq, got.Hash, place, err, e.Hash, want)
		}
	}
	if _, place, err := audit.Find(log.Dir, 1000); err != nil || place != audit.Beyond {
		t.Errorf("entry after the last: got place %v (%v), want Beyond", place, err)
	}
	if _, place, err := audit.Find(t.TempDir(), 1); err != nil || place != audit.Beyond {
		t.Errorf("entry in an empty directory: got place %v (%v), want Beyond", place, err)
	}
	closeLog(t, log)
}
