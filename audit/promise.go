package audit

import (
	"fmt"
	"time"
)

// The promise of a log: no entry stays without a head for longer than this, and no more entries than this do. A writer that
// cannot keep it, because its signer fails or the process was not running, says so in an entry of the kind "late"
// before the next head. Without that explanation the gap fails verification.
const (
	promisedEntries = 1000
	promisedWithin  = 2 * time.Minute // the writer aims for half of it
)

// legacyEntries is how many entries writers before headVersion could leave without a head: they wrote up to 1,024 at a
// time.
const legacyEntries = 999 + 1024

// gap describes the entries since the last head.
type gap struct {
	entries   int
	since     time.Time // time of the first of them
	from      uint64    // its number
	explained bool      // by a kindLate
}

// add counts one more entry. A head resets the gap.
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

// overdue reports whether a head was due before at.
func (g *gap) overdue(at time.Time) bool {
	return g.entries > promisedEntries || (g.entries > 0 && at.Sub(g.since) > promisedWithin)
}

// broken returns the gap as an error.
func (g *gap) broken(at time.Time) error {
	return fmt.Errorf("no head signs the %d entries from %d on, over %s; one is due every minute and every %d entries",
		g.entries, g.from, at.Sub(g.since).Round(time.Second), promisedEntries)
}
