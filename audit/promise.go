package audit

import (
	"fmt"
	"time"
)

// The promise of a log: no entry stays without a head for longer, and no more entries than this do. A writer that cannot
// keep it, since its signer was away or the process was not running, says so in an entry of the kind "late" before the
// next head. A gap without that explanation does not verify.
const (
	promisedEntries = 1000
	promisedWithin  = 2 * time.Minute // the writer aims at half of it
)

// legacyEntries is how many entries the writers before headVersion could leave behind the last head: they took up to
// 1,024 at once.
const legacyEntries = 999 + 1024

// gap is the entries since the last head.
type gap struct {
	entries   int
	since     time.Time // of the first of them
	from      uint64    // its number
	explained bool      // by a kindLate
}

// add takes one more entry into account. A head ends the gap.
func (g *gap) add(e Entry) {
	switch {
	case e.Kind == kindHead:
		*g = gap{}
	case e.Kind == kindLate:
		g.explained = true
	case e.counts():
		if g.entries == 0 {
			g.since, g.from = e.Time, e.Seq
		}
		g.entries++
	}
}

// overdue says that a head should have stood before the time given.
func (g *gap) overdue(at time.Time) bool {
	return g.entries > promisedEntries || (g.entries > 0 && at.Sub(g.since) > promisedWithin)
}

// broken describes the gap as a failure.
func (g *gap) broken(at time.Time) error {
	return fmt.Errorf("no head signs the %d entries from %d on, over %s; one is due every minute and every %d entries",
		g.entries, g.from, at.Sub(g.since).Round(time.Second), promisedEntries)
}
