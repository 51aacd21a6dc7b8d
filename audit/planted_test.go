package audit_test

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dd2befc3/countersign/audit"
)

// plant puts an entry at the end of a log that nobody has open, as whoever can write to its directory can.
func plant(t *testing.T, dir, kind string, data any) {
	t.Helper()
	all := entries(t, dir)
	last := all[len(all)-1]
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	planted := audit.Entry{Seq: last.Seq + 1, Prev: last.Hash, Time: last.Time, Kind: kind, Data: text}
	line, err := planted.Line()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(line); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func plantKey(t *testing.T, dir string, s *signer) {
	t.Helper()
	plant(t, dir, "key", map[string]any{"kid": s.kid(0), "jwk": s.jwk(0)})
}

func plantHead(t *testing.T, dir string, s *signer) {
	t.Helper()
	all := entries(t, dir)
	last := all[len(all)-1]
	plant(t, dir, "head", map[string]any{"kid": s.kid(0), "signature": ed25519.Sign(s.keys[0], audit.HeadMessage(last.Seq, last.Hash)), "v": 2})
}

// While the gateway is stopped a thief puts a key of its own behind the last head, or a record that files were removed.
// The gateway goes on with the log and signs all of it. The key is not trusted for that, and the files are missed.
func TestPlantedWhileStopped(t *testing.T) {
	for name, row := range map[string]struct {
		planted func(t *testing.T, dir string, thief *signer, closed []audit.File)
		after   func(t *testing.T, dir string, thief *signer, closed []audit.File)
		want    string
	}{
		"a key": {
			func(t *testing.T, dir string, thief *signer, _ []audit.File) { t.Helper(); plantKey(t, dir, thief) },
			func(t *testing.T, dir string, thief *signer, _ []audit.File) { t.Helper(); plantHead(t, dir, thief) },
			"are signed by thief-1, which is not among the trusted keys",
		},
		"a key and a head": {
			func(t *testing.T, dir string, thief *signer, _ []audit.File) {
				t.Helper()
				plantKey(t, dir, thief)
				plantHead(t, dir, thief)
			},
			func(t *testing.T, dir string, thief *signer, _ []audit.File) { t.Helper(); plantHead(t, dir, thief) },
			"are signed by thief-1, which is not among the trusted keys",
		},
		"a removal": {
			func(t *testing.T, dir string, _ *signer, closed []audit.File) {
				t.Helper()
				plantRemoval(t, dir, closed)
			},
			takeAway, "no signed record says that they were removed",
		},
		"a removal, a key and a head": {
			func(t *testing.T, dir string, thief *signer, closed []audit.File) {
				t.Helper()
				plantRemoval(t, dir, closed)
				plantKey(t, dir, thief)
				plantHead(t, dir, thief)
			},
			takeAway, "no signed record says that they were removed",
		},
		"nothing": {
			func(*testing.T, string, *signer, []audit.File) {}, func(*testing.T, string, *signer, []audit.File) {}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, thief := newSigner(t), newSigner(t)
			thief.prefix = "thief"
			saved := audit.Evidence{Keys: [][]byte{s.saved(t)}}
			log, closed := closedLog(t, s, 3)
			closeLog(t, log)
			row.planted(t, log.Dir, thief, closed)
			s.overlap = 1
			again := open(t, log.Dir, s, nil)
			fill(t, again, 1)
			s.rotate(t) // the gateway's own next key is trusted
			fill(t, again, 1)
			closeLog(t, again)
			holds(t, log.Dir, saved, "")
			row.after(t, log.Dir, thief, closed)
			holds(t, log.Dir, saved, row.want)
		})
	}
}

func plantRemoval(t *testing.T, dir string, closed []audit.File) {
	t.Helper()
	plant(t, dir, "removed", map[string]any{"files": closed[:1], "why": "keep"})
}

func takeAway(t *testing.T, dir string, _ *signer, closed []audit.File) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, closed[0].Name)); err != nil {
		t.Fatal(err)
	}
}
