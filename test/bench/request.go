package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// clients of the closed loop.
const clients = 64

// warmUp is how many requests come before those that count.
const warmUp = 500

// request compares signing requests of one payload on the memory store with what others make of the same JWTs.
func (b *bench) request(ctx context.Context) error {
	subjects := []subject{onMemory, naive, haproxy}
	fmt.Fprintf(b.out, "request: %d rounds of %d distinct requests of one payload, %d clients, closed loop\n", b.rounds, b.requests, clients)
	rounds, err := b.closedLoop(ctx, subjects)
	if err != nil {
		return err
	}
	b.table(subjects, rounds)
	b.ratio(rounds, "rate", throughput, onMemory, naive, "≥ 1.8")
	b.ratio(rounds, "rate", throughput, onMemory, haproxy, "≥ 0.45")
	b.ratio(rounds, "rate", throughput, naive, haproxy, "none, for comparison")
	b.ratio(rounds, "CPU per request", perRequest, onMemory, naive, "none")
	b.ratio(rounds, "CPU per request", perRequest, onMemory, haproxy, "none")
	return nil
}

// durable compares the store that is synced to the disk before a request is acknowledged with the one in memory.
func (b *bench) durable(ctx context.Context) error {
	subjects := []subject{onBadger, onMemory}
	fmt.Fprintf(b.out, "durable: %d rounds of %d distinct requests of one payload, %d clients, closed loop\n", b.rounds, b.requests, clients)
	rounds, err := b.closedLoop(ctx, subjects)
	if err != nil {
		return err
	}
	b.table(subjects, rounds)
	b.ratio(rounds, "rate", throughput, onBadger, onMemory, "≥ 0.6")
	b.ratio(rounds, "CPU per request", perRequest, onBadger, onMemory, "none")
	return nil
}

// closedLoop sends the requests of a round to one subject after the other, round after round.
func (b *bench) closedLoop(ctx context.Context, subjects []subject) (results, error) {
	return b.takeTurns(ctx, subjects, load{Count: b.requests, Clients: clients})
}

// takeTurns starts all subjects, warms them up, and puts them under the same load one at a time, round after round.
// No subject sees a request twice.
func (b *bench) takeTurns(ctx context.Context, subjects []subject, l load) (came results, err error) {
	if err := b.pool.ensure(warmUp + b.rounds*l.Count); err != nil {
		return nil, err
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
			return nil, err
		}
		if running[i], err = s.start(ctx, b, dir); err != nil {
			return nil, err
		}
		if _, err := b.sendTo(ctx, running[i], s, load{Count: warmUp, Clients: clients}); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		defer b.profiled(ctx, running[i], s)() //nolint:gocritic // each ends with all of them, a handful
	}
	came = results{}
	for round := range b.rounds {
		l.From = warmUp + round*l.Count
		for i, s := range subjects {
			seen, err := b.sendTo(ctx, running[i], s, l)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			came[s.name] = append(came[s.name], seen)
		}
	}
	return came, nil
}

// sendTo puts a running subject under a load.
func (b *bench) sendTo(ctx context.Context, running *server, s subject, l load) (seen measurement, err error) {
	l.Addr, l.Path, l.Headers, l.Pool = running.addr(), s.path, s.headers, b.pool.file
	before, err := running.cpu()
	if err != nil {
		return seen, err
	}
	if seen.outcome, err = l.send(ctx); err != nil {
		return seen, err
	}
	after, err := running.cpu()
	seen.requests, seen.cpu = l.Count, after-before
	return seen, err
}
