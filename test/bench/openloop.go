package main

import (
	"context"
	"fmt"
	"slices"
)

// perSecond is the open loop's rate.
const perSecond = 1000

// openLoop sends requests at a fixed rate, whether or not those before were answered, and compares how long they took
// with the same bytes sent to Caddy's respond, which does not look at them, and to a file. Each subject runs from the
// first round to the last, so that what its store does in the background is seen.
func (b *bench) openLoop(ctx context.Context) error {
	subjects := []subject{respond, onMemory, onBadger, diary}
	if b.against != "" {
		subjects = append(subjects, otherBuild(b.against))
	}
	fmt.Fprintf(b.out, "openloop: %d distinct requests a second of one payload, %d rounds of %d s\n", perSecond, b.rounds, b.seconds)
	came, err := b.takeTurns(ctx, subjects, load{Count: perSecond * b.seconds, Clients: 4 * clients, Rate: perSecond})
	if err != nil {
		return err
	}
	b.table(subjects, came)
	for _, s := range []subject{onMemory, onBadger} {
		b.difference(came, "p99", p99, median, s, respond, "≤ 3 ms")
		b.difference(came, "worst", worst, slices.Max[[]float64], s, respond, "≤ 50 ms")
	}
	if b.against != "" {
		b.difference(came, "p99", p99, median, onBadger, otherBuild(b.against), "none")
		b.difference(came, "worst", worst, slices.Max[[]float64], onBadger, otherBuild(b.against), "none")
	}
	b.difference(came, "p99", p99, median, onBadger, diary, "none")
	b.difference(came, "worst", worst, slices.Max[[]float64], onBadger, diary, "none")
	return nil
}
