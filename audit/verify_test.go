package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
)

// holds checks the result of Verify: want is a part of the error, or empty if the log must pass.
func holds(t *testing.T, dir string, of audit.Evidence, want string) audit.Report {
	t.Helper()
	report, err := audit.Verify(dir, of)
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got error %v, want one that contains %q", err, want)
	}
	return report
}

// There is a head every minute and every 1,000 entries, or the log gives the reason. No reason counts after the last
// head.
func TestVerifyThePromise(t *testing.T) {
	s := newSigner(t)
	begun := func(t *testing.T) *forger { return forge(t, s).named().key(0).head(0, 2) }
	old := func(t *testing.T) *forger { return forge(t, s).records(3, time.Second).key(0).head(0, 0) }
	late := map[string]any{"since": time.Now(), "entries": 1, "why": "the gateway was not running"}
	const missing = "one is due every minute"
	for name, row := range map[string]struct {
		of   func(t *testing.T) *forger
		want string
		late int
	}{
		"nothing at all":                        {func(t *testing.T) *forger { return forge(t, s) }, "the log is empty", 0},
		"no head":                               {func(t *testing.T) *forger { return forge(t, s).named().records(3, 0) }, "no head", 0},
		"a head alone":                          {begun, "", 0},
		"1,000 entries without":                 {func(t *testing.T) *forger { return begun(t).records(1000, 0) }, "", 0},
		"1,001 entries without":                 {func(t *testing.T) *forger { return begun(t).records(1001, 0) }, missing, 0},
		"two minutes without":                   {func(t *testing.T) *forger { return begun(t).records(3, time.Minute) }, "", 0},
		"more than two minutes without":         {func(t *testing.T) *forger { return begun(t).records(3, 61*time.Second) }, missing, 0},
		"an explanation that nothing signs":     {func(t *testing.T) *forger { return begun(t).records(1001, 0).put("late", late) }, missing, 0},
		"1,001 entries before a head":           {func(t *testing.T) *forger { return begun(t).records(1001, 0).head(0, 2) }, missing, 0},
		"a head after three minutes":            {func(t *testing.T) *forger { return begun(t).records(1, 0).records(1, 3*time.Minute).head(0, 2) }, missing, 0},
		"the same, explained":                   {func(t *testing.T) *forger { return begun(t).records(1001, 0).put("late", late).head(0, 2) }, "", 1},
		"a clock set back":                      {func(t *testing.T) *forger { return begun(t).records(1, 0).records(1, -time.Hour).head(0, 2) }, "", 0},
		"older version":                         {old, "", 0},
		"older version, 2,023 entries without":  {func(t *testing.T) *forger { return old(t).records(2023, 0) }, "", 0},
		"older version, 2,024 entries without":  {func(t *testing.T) *forger { return old(t).records(2024, 0) }, missing, 0},
		"older version, restarted the next day": {func(t *testing.T) *forger { return old(t).records(1, 0).records(1, 24*time.Hour).head(0, 0) }, "", 1},
		"older version, gone on with":           {func(t *testing.T) *forger { return old(t).named().key(0).head(0, 2).records(5, 0) }, "", 0},
		"gone on with by the older version":     {func(t *testing.T) *forger { return begun(t).records(1, 0).records(2000, 2*time.Second).head(0, 0) }, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := row.of(t).write()
			for _, of := range []audit.Evidence{s.by(t), {}} {
				if report := holds(t, dir, of, row.want); report.Late != row.late {
					t.Errorf("got %d late heads, want %d", report.Late, row.late)
				}
			}
		})
	}
	if _, err := audit.Verify(t.TempDir(), s.by(t)); err == nil {
		t.Error("Verify of an empty directory: got no error, want one")
	}
	if _, err := audit.Verify(filepath.Join(t.TempDir(), "nowhere"), s.by(t)); err == nil {
		t.Error("Verify of a missing directory: got no error, want one")
	}
}

// Evidence from elsewhere decides, whoever wrote the log.
func TestVerifyAgainstHeads(t *testing.T) {
	s, thief := newSigner(t), newSigner(t)
	thief.prefix = "thief"
	f := forge(t, s).named().key(0).head(0, 2).records(5, 0)
	record := f.position()
	f.head(0, 2)
	early, short := f.position(), bytes.Clone(f.text)
	f.records(5, 0).head(0, 2)
	kept, whole := f.position(), f.write()

	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.Mkdir(cut, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cut, "audit-000001.jsonl"), short, 0o600); err != nil {
		t.Fatal(err)
	}
	anew := forge(t, s).named().key(0).head(0, 2).records(20, time.Second).head(0, 2).write() // by somebody with the keys
	other := forge(t, thief).named().key(0).head(0, 2).records(20, 0).head(0, 2).write()
	nameless := kept
	nameless.Node = ""
	foreign := kept
	foreign.Node = "gw-2"
	for name, row := range map[string]struct {
		dir  string
		of   audit.Evidence
		want string
	}{
		"the log that they are of":         {whole, s.by(t, record, early, kept, nameless, kept), ""},
		"cut back, and nobody kept a head": {cut, s.by(t), ""},
		"cut back, and an early one kept":  {cut, s.by(t, early), ""},
		"cut back":                         {cut, s.by(t, early, kept), "the log ends at entry 9, before the head gw-1/15:"},
		"written anew":                     {anew, s.by(t, early), "entry 9 is not the one of the head"},
		"written anew, a record kept":      {anew, s.by(t, record), "entry 8 is not the one of the head"},
		"of another node":                  {whole, s.by(t, foreign), "is of the log of node gw-2; this is that of gw-1"},
		"with another key":                 {other, s.by(t), "signed by thief-1, which is not among the trusted keys"},
		"with another key, nothing kept":   {other, audit.Evidence{}, ""},
		"a key set without keys":           {whole, audit.Evidence{Keys: [][]byte{[]byte(`{"keys":[{"kty":"RSA"}]}`)}}, "has no Ed25519 key"},
		"a key set that is none":           {whole, audit.Evidence{Keys: [][]byte{[]byte(`nonsense`)}}, "parsing the key set"},
	} {
		t.Run(name, func(t *testing.T) {
			report := holds(t, row.dir, row.of, row.want)
			if report.Trusted != (len(row.of.Keys) > 0 && !strings.Contains(row.want, "key set") && !strings.Contains(row.want, "has no Ed25519")) {
				t.Errorf("got report with Trusted %v", report.Trusted)
			}
		})
	}
}

// Heads and keys verify across rotations, for sets saved early, late and in between.
func TestVerifyWithSavedKeys(t *testing.T) {
	s, thief := newSigner(t), newSigner(t)
	thief.prefix = "thief"
	s.publish(t)
	s.publish(t)
	ahead := forge(t, s).named().key(0).head(0, 2).records(2, 0).key(1).head(0, 2).records(2, 0).head(1, 2).key(2).head(1, 2).records(2, 0).head(2, 2)
	abrupt := forge(t, s).named().key(0).head(0, 2).records(2, 0).key(1).head(1, 2)
	forged := forge(t, s).named().key(0).head(0, 2).records(2, 0)
	forged.s = thief
	forged.key(0).head(0, 2)
	under := forge(t, s).named().key(0).head(0, 2).records(2, 0) // a thief's head that a real one covers later
	under.s = thief
	under.key(0).head(0, 2)
	under.s = s
	under.records(1, 0).head(0, 2)
	for name, row := range map[string]struct {
		of      *forger
		keys    []int
		want    string
		vouched int
	}{
		"the first key saved":                   {ahead, []int{0}, "", 2},
		"the second":                            {ahead, []int{1}, "", 2},
		"the last":                              {ahead, []int{2}, "", 2},
		"all":                                   {ahead, []int{0, 1, 2}, "", 0},
		"another that was never used":           {abrupt, []int{2}, "heads from entry 3 on are signed by key-1", 0},
		"no overlap, the first saved":           {abrupt, []int{0}, "heads from entry 7 on are signed by key-2", 0},
		"no overlap, the second saved":          {abrupt, []int{1}, "", 1},
		"no overlap, both saved":                {abrupt, []int{0, 1}, "", 0},
		"a thief's head at the end":             {forged, []int{0}, "heads from entry 7 on are signed by thief-1", 0},
		"a thief's head that a real one covers": {under, []int{0}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			report := holds(t, row.of.write(), audit.Evidence{Keys: [][]byte{s.saved(t, row.keys...)}}, row.want)
			if row.want == "" && (len(report.Vouched) != row.vouched || len(report.Unknown) != 0) {
				t.Errorf("got report %+v, want %d keys vouched for by others", report, row.vouched)
			}
			if row.want != "" && len(report.Unknown) == 0 {
				t.Error("got no unknown key in the report, want one")
			}
		})
	}
}

func TestParsePosition(t *testing.T) {
	const sum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for text, want := range map[string]audit.Position{
		"gw-1/5123:" + sum:                       {Node: "gw-1", Number: 5123, Hash: sum},
		"5123:" + strings.ToUpper(sum):           {Number: 5123, Hash: sum},
		"  gw-1/5123:" + sum + "\n":              {Node: "gw-1", Number: 5123, Hash: sum},
		"5123":                                   {},
		"gw-1/5123":                              {},
		"0:" + sum:                               {},
		"-1:" + sum:                              {},
		"5123:" + sum[:62]:                       {},
		"5123:" + sum + "00":                     {},
		"a/b/5123:" + sum:                        {},
		"/5123:" + sum:                           {},
		strings.Repeat("n", 64) + "/5123:" + sum: {},
		sum:                                      {},
		"":                                       {},
	} {
		got, err := audit.ParsePosition(text)
		if got != want || (err == nil) != (want != audit.Position{}) {
			t.Errorf("ParsePosition(%q): got %+v, %v, want %+v", text, got, err, want)
		}
		if err == nil {
			if again, err := audit.ParsePosition(got.String()); again != got || err != nil {
				t.Errorf("ParsePosition(%q) again: got %+v, %v", got, again, err)
			}
		}
	}
}
