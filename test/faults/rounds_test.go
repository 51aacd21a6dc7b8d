package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// perWorld bounds the faults of one world, so that no access token and no assertion in it grows old.
const perWorld = 25

// measured says if this is a round that was asked for, and not a short one.
func measured() bool { return os.Getenv("FAULTS") != "" }

// timed says if the gateway has to be ready in time: in a measured round, on a machine that does nothing else.
func timed() bool { return measured() && os.Getenv("UNTIMED") == "" }

// rounds is how many faults a test is to make: FAULTS of the environment, or a short round.
func rounds(t testing.TB, short int) int {
	t.Helper()
	text := os.Getenv("FAULTS")
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("FAULTS=%q is no count", text)
	}
	return n
}

// play makes faults, as many as are asked for, in as many worlds as that takes. After each fault, which leaves the
// gateway running, the oracle looks.
func play(t *testing.T, short int, begin func(t *testing.T) *world, strike func(w *world)) {
	t.Helper()
	var total tally
	for n := rounds(t, short); total.faults < n; {
		part := min(perWorld, n-total.faults)
		t.Run(fmt.Sprintf("%d-%d", total.faults+1, total.faults+part), func(t *testing.T) {
			w := begin(t)
			w.begin()
			for range part {
				w.awaitLoad()
				pause(100*time.Millisecond, 900*time.Millisecond)
				strike(w)
				w.check(false)
			}
			w.drain()
			w.receiver.mood.Store(wellMood)
			w.awaitDeliveries()
			w.check(true)
			sum := w.tally(part)
			t.Log(sum)
			sum.fail(t)
			if sum.signed == 0 {
				t.Error("nothing was signed: that is no load")
			}
			total.add(sum)
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%s: %s", t.Name(), total)
}

// awaitLoad waits until a few things were acknowledged since the oracle looked last, so that a fault has something to
// lose, but not for long: a world may have little to do.
func (w *world) awaitLoad() {
	gateway.Eventually(5*time.Second, func() bool {
		requests, assertions := w.journal.since(w.seenRequests, w.seenAssertions)
		return len(requests)+len(assertions) >= 10
	})
}

// pause lets the load go on until a random moment.
func pause(least, most time.Duration) { <-time.After(least + rand.N(most-least)) }
