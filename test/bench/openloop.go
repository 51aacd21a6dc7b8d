package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// perSecond is the open loop's rate.
const perSecond = 1000

// openLoop sends requests at a fixed rate, whether or not those before were answered, and compares how long they took
// with the same bytes sent to Caddy's respond, which does not look at them. Each subject runs from the first round to
// the last, so that what its store does in the background is seen.
func (b *bench) openLoop(ctx context.Context) (err error) {
	subjects := []subject{respond, onBadger, onMemory}
	fmt.Fprintf(b.out, "openloop: %d distinct requests a second of one payload, %d rounds of %d s\n", perSecond, b.rounds, b.seconds)
	count := perSecond * b.seconds
	if err := b.pool.ensure(warmUp + b.rounds*count); err != nil {
		return err
	}
	running := make([]*server, len(subjects))
	defer func() {
		for _, s := range running {
			if s != nil {
				err = errors.Join(err, s.stop())
			}
		}
	}()
	for i, s := range subjects {
		dir, err := os.MkdirTemp(b.dir, "server-") // goes with b.dir
		if err != nil {
			return err
		}
		if running[i], err = s.start(ctx, b, dir); err != nil {
			return err
		}
		if _, err := b.sendTo(ctx, running[i], s, load{Count: warmUp, Clients: clients}); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	came := results{}
	for round := range b.rounds {
		for i, s := range subjects {
			l := load{From: warmUp + round*count, Count: count, Clients: 4 * clients, Rate: perSecond}
			seen, err := b.sendTo(ctx, running[i], s, l)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			came[s.name] = append(came[s.name], seen)
		}
	}
	b.table(subjects, came)
	for _, s := range subjects[1:] {
		b.difference(came, "p99", p99, median, s, respond, "≤ 3 ms")
		b.difference(came, "worst", worst, slices.Max[[]float64], s, respond, "≤ 50 ms")
	}
	return nil
}
