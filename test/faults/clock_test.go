package faults_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// skew is less than what nodes' clocks may differ by (SIG-1.7, TOK-2.17).
const skew = 25 * time.Second

// TestClock moves the gateway's clock, in a fault build: a little, to and fro, under load; and every third time by more
// than a session lives, forwards or back, with a start on the wrong time now and then. No jti is taken twice at any
// time, and what was acknowledged is there when the clock is right again.
func TestClock(t *testing.T) {
	var wrong atomic.Int64
	var file string
	set := func(w *world, by time.Duration) {
		if err := os.WriteFile(file+".new", []byte(by.String()), 0o600); err != nil {
			w.t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			w.t.Fatal(err)
		}
		wrong.Store(int64(by))
	}
	turn := 0
	play(t, 6, func(t *testing.T) *world {
		file = filepath.Join(t.TempDir(), "clock")
		if err := os.WriteFile(file, []byte("0s"), 0o600); err != nil {
			t.Fatal(err)
		}
		wrong.Store(0)
		w := newWorld(t, site{}, gateway.Built(gateway.FaultBinary(t)), gateway.Env("COUNTERSIGN_FAULT_CLOCK="+file))
		w.now = func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }
		return w
	}, func(w *world) {
		turn++
		if turn%3 != 0 {
			set(w, rand.N(2*skew)-skew)
			return
		}
		w.drain()
		used, old := w.anAssertion()
		set(w, []time.Duration{40 * time.Minute, -40 * time.Minute}[turn/3%2])
		if turn%2 == 0 {
			w.Kill()
			w.restart()
		}
		w.mustWork()
		if old {
			w.mustRefuse(used)
		}
		set(w, 0)
		w.begin()
	})
}

// anAssertion is one that was used, if there is any.
func (w *world) anAssertion() (*assertion, bool) {
	_, assertions := w.journal.since(0, 0)
	if len(assertions) == 0 {
		return nil, false
	}
	return assertions[len(assertions)-1], true
}

// mustWork goes through some journeys at once.
func (w *world) mustWork() {
	for range 5 {
		w.within(func(ctx context.Context) {
			if err := w.journey(ctx); err != nil {
				w.lose("a journey on the wrong time: %v", err)
			}
		})
	}
}

// mustRefuse sees that an assertion is not taken, for whatever reason.
func (w *world) mustRefuse(used *assertion) {
	ctx, end := context.WithTimeout(w.t.Context(), patience)
	defer end()
	a, err := w.insist(ctx, func() (answer, error) { return w.redeem(ctx, used) })
	if err != nil || a.status/100 != 4 {
		w.lose("a used jti on the wrong time: %s (%v)", a, err)
	}
}
