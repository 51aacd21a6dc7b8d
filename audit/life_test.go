package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
)

// clock is set by hand.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d)) }
func (c *clock) of(o *audit.Options)     { o.Now = c.now }

// crashed returns a copy of a log's directory, as a crash would leave it.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	left := filepath.Join(t.TempDir(), "left")
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return left
}

// A log is named after its machine, keeps the name on any other, and is renamed only by configuration.
func TestNode(t *testing.T) {
	dir, s := t.TempDir(), newSigner(t)
	for _, row := range []struct{ host, node, want string }{
		{"ward 7.example.nhs.uk", "", "ward-7.example.nhs.uk"},
		{"another", "", "ward-7.example.nhs.uk"},
		{"another", "gw-2", "gw-2"},
		{"third", "", "gw-2"},
	} {
		log := open(t, dir, s, func(o *audit.Options) { o.Host, o.Node = row.host, row.node })
		at := fill(t, log, 1)
		closeLog(t, log)
		if report := holds(t, dir, s.by(t, at), ""); report.Node != row.want || at.Node != row.want {
			t.Errorf("host %q, node %q: got log %q and entry %q, want %q", row.host, row.node, report.Node, at.Node, row.want)
		}
	}
	renamed := audit.Position{Node: "ward-7.example.nhs.uk", Number: 1, Hash: entries(t, dir)[0].Hash}
	holds(t, dir, s.by(t, renamed), "")
	if got := kinds(t, dir); got != "log key head signing head log signing head log signing head log signing head" {
		t.Errorf("got entries %s", got)
	}
	if _, err := audit.Open(audit.Options{Dir: t.TempDir(), Signer: s, Node: "a/b"}); err == nil || !strings.Contains(err.Error(), `"a/b" is not a node's name`) {
		t.Errorf("invalid node name: got %v, want an error that quotes it", err)
	}
	nowhere := open(t, t.TempDir(), s, func(o *audit.Options) { o.Host = "" })
	if at := fill(t, nowhere, 1); at.Node != "gateway" {
		t.Errorf("without a host name: got log name %q, want gateway", at.Node)
	}
	closeLog(t, nowhere)
}

// A log of an older version has no name. It is given one, and the chain goes on.
func TestOlderLogGoesOn(t *testing.T) {
	s := newSigner(t)
	old := forge(t, s).records(4, time.Second).key(0).head(0, 0).records(2, time.Second) // and then it crashed
	before, dir := old.position(), old.write()
	before.Node = ""
	if report := holds(t, dir, s.by(t, before), ""); report.Node != "" || report.Unsigned != 2 {
		t.Errorf("before: got %+v, want no name and 2 unsigned", report)
	}
	c := newClock()
	c.forward(time.Hour)
	log := open(t, dir, s, c.of)
	at := fill(t, log, 1)
	closeLog(t, log)
	report := holds(t, dir, s.by(t, before, at), "")
	if report.Node != "gw-1" || report.Late != 1 || report.Unsigned != 0 {
		t.Errorf("after: got %+v, want gw-1, one late head and none unsigned", report)
	}
	if got := kinds(t, dir); got != "signing signing signing signing key head signing signing log late head signing head" {
		t.Errorf("got entries %s", got)
	}
}

// Entries that a crash left without a head are signed at the next start, however late, and the log gives the reason.
func TestHeadsAfterACrash(t *testing.T) {
	s, c := newSigner(t), newClock()
	log := open(t, t.TempDir(), s, c.of)
	at := fill(t, log, 3)
	left := crashed(t, log.Dir)
	closeLog(t, log)
	holds(t, left, s.by(t, at), "")
	c.forward(26 * time.Hour)
	again := open(t, left, s, c.of)
	fill(t, again, 1)
	closeLog(t, again)
	if report := holds(t, left, s.by(t, at), ""); report.Late != 1 {
		t.Errorf("got %+v, want one late head", report)
	}
	for _, e := range entries(t, left) {
		if e.Kind == "late" && !strings.Contains(string(e.Data), `"entries":4,"why":"the gateway was not running"`) {
			t.Errorf("late entry: got %s, want 4 entries and the reason", e.Data)
		}
	}
}

// While the signer fails heads are missing, so verification fails; afterwards the log gives the reason.
func TestHeadsAfterTheSignerWasAway(t *testing.T) {
	s, c := newSigner(t), newClock()
	log := open(t, t.TempDir(), s, c.of)
	fill(t, log, 1)
	s.away(errors.New("storage is away"))
	for range 3 {
		c.forward(time.Minute)
		fill(t, log, 1)
	}
	holds(t, crashed(t, log.Dir), s.by(t), "no head signs the 4 entries from 4 on, over 3m0s")
	s.away(nil)
	closeLog(t, log)
	if report := holds(t, log.Dir, s.by(t), ""); report.Late != 1 {
		t.Errorf("got %+v, want one late head", report)
	}
	if got := log.Health(); got.HeadError != "" || got.Head.Number == 0 || got.Unsigned != 0 {
		t.Errorf("got health %+v, want a head and nothing unsigned", got)
	}
}

// A clock that is set forward leaves no entry without a head.
func TestHeadBeforeAJumpOfTheClock(t *testing.T) {
	s, c := newSigner(t), newClock()
	log := open(t, t.TempDir(), s, c.of)
	fill(t, log, 2)
	c.forward(40 * time.Minute)
	fill(t, log, 1)
	holds(t, crashed(t, log.Dir), s.by(t), "")
	closeLog(t, log)
	holds(t, log.Dir, s.by(t), "")
}

// However many entries arrive at once, at most 1,000 are without a head.
func TestHeadsUnderLoad(t *testing.T) {
	s := newSigner(t)
	log := open(t, t.TempDir(), s, func(o *audit.Options) { o.HeadEvery = 1 << 20 })
	done := make(chan error, 3000)
	for range cap(done) {
		go func() {
			_, err := log.Append(t.Context(), "token", 1)
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	left := crashed(t, log.Dir)
	closeLog(t, log)
	holds(t, left, s.by(t), "")
	if report := holds(t, log.Dir, s.by(t), ""); report.Late != 0 || report.Heads < 4 {
		t.Errorf("got %d late heads of %d, want none", report.Late, report.Heads)
	}
}

// until polls until done returns true, for at most a minute.
func until(t *testing.T, done func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(time.Minute), time.NewTicker(5*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatal("waited a minute")
		case <-tick.C:
		}
	}
}

// A key is in the log before it signs, so a set saved before the key was generated vouches for it.
func TestKeysAreIntroducedAhead(t *testing.T) {
	s := newSigner(t)
	first := s.saved(t)
	log := open(t, t.TempDir(), s, func(o *audit.Options) { o.HeadAfter = time.Millisecond })
	s.publish(t)
	until(t, func() bool { // nothing else is written
		got := kinds(t, log.Dir)
		return strings.Count(got, "key") == 2 && strings.HasSuffix(got, " head")
	})
	s.rotate(t)
	fill(t, log, 1)
	closeLog(t, log)
	if report := holds(t, log.Dir, audit.Evidence{Keys: [][]byte{first}}, ""); len(report.Vouched) != 1 {
		t.Errorf("got %+v, want one key that the first vouches for", report)
	}
}

// After a gateway was down for all of the time in which the next key was published, the former key still signs too.
func TestFormerKeysSignAsWell(t *testing.T) {
	s := newSigner(t)
	first := s.saved(t)
	dir := t.TempDir()
	log := open(t, dir, s, nil)
	fill(t, log, 1)
	closeLog(t, log)
	s.rotate(t)
	s.mu.Lock()
	s.overlap = 1
	s.mu.Unlock()
	log = open(t, dir, s, nil)
	fill(t, log, 1)
	closeLog(t, log)
	holds(t, dir, audit.Evidence{Keys: [][]byte{first}}, "")
	holds(t, dir, audit.Evidence{Keys: [][]byte{s.saved(t, 1)}}, "")
}

// Each file begins with the log's name and the keys, so it can be verified by itself, and a new file is started at the
// maximum age.
func TestFilesStandByThemselves(t *testing.T) {
	s, c := newSigner(t), newClock()
	log := open(t, t.TempDir(), s, c.of)
	fill(t, log, 1)
	c.forward(31 * 24 * time.Hour)
	fill(t, log, 1)
	closeLog(t, log)
	if got := kinds(t, log.Dir); got != "log key head signing log key late head signing head" {
		t.Errorf("got entries %s", got)
	}
	files, err := filepath.Glob(filepath.Join(log.Dir, "audit-*.jsonl"))
	if err != nil || len(files) != 2 {
		t.Errorf("got files %v, want two (%v)", files, err)
	}
	holds(t, log.Dir, s.by(t), "")
}
