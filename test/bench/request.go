package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// clients of the closed loop.
const clients = 64

// warmUp is how many requests come before those that count.
const warmUp = 500

// request compares signing requests of one payload on the memory store with what others make of the same JWTs.
func (b *bench) request(ctx context.Context) error {
	subjects := []subject{onMemory, naive, haproxy}
	fmt.Fprintf(b.out, "request: %d distinct requests of one payload, %d clients, closed loop, %d rounds\n", b.requests, clients, b.rounds)
	rounds, err := b.closedLoop(ctx, subjects)
	if err != nil {
		return err
	}
	b.table(subjects, rounds)
	b.ratio(rounds, "rate", rate, onMemory, naive, "≥ 1.8")
	b.ratio(rounds, "rate", rate, onMemory, haproxy, "≥ 0.45")
	b.ratio(rounds, "rate", rate, naive, haproxy, "none, for comparison")
	b.ratio(rounds, "CPU per request", perRequest, onMemory, naive, "none")
	b.ratio(rounds, "CPU per request", perRequest, onMemory, haproxy, "none")
	return nil
}

// durable compares the store that is synced to the disk before a request is acknowledged with the one in memory.
func (b *bench) durable(ctx context.Context) error {
	subjects := []subject{onBadger, onMemory}
	fmt.Fprintf(b.out, "durable: %d distinct requests of one payload, %d clients, closed loop, %d rounds\n", b.requests, clients, b.rounds)
	rounds, err := b.closedLoop(ctx, subjects)
	if err != nil {
		return err
	}
	b.table(subjects, rounds)
	b.ratio(rounds, "rate", rate, onBadger, onMemory, "≥ 0.6")
	b.ratio(rounds, "CPU per request", perRequest, onBadger, onMemory, "none")
	return nil
}

// closedLoop sends all requests to each subject in each round. A subject starts anew for each round, so that no
// request is known to it.
func (b *bench) closedLoop(ctx context.Context, subjects []subject) (results, error) {
	if err := b.pool.ensure(warmUp + b.requests); err != nil {
		return nil, err
	}
	came := results{}
	for round := range b.rounds {
		for _, s := range subjects {
			seen, err := b.measure(ctx, s, load{Count: b.requests, From: warmUp, Clients: clients}, round == b.rounds-1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			came[s.name] = append(came[s.name], seen)
		}
	}
	return came, nil
}

// measure starts a subject, warms it up, and puts it under a load.
func (b *bench) measure(ctx context.Context, s subject, l load, profiled bool) (seen measurement, err error) {
	dir, err := os.MkdirTemp(b.dir, "server-")
	if err != nil {
		return seen, err
	}
	defer os.RemoveAll(dir)
	running, err := s.start(ctx, b, dir)
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	if _, err := b.sendTo(ctx, running, s, load{Count: warmUp, Clients: clients}); err != nil {
		return seen, err
	}
	if profiled && b.profile != "" && running.hasAdmin() {
		wait := running.profile(ctx, filepath.Join(b.profile, strings.ReplaceAll(s.name, " ", "-")+".pprof"), 2*time.Second)
		defer func() { err = errors.Join(err, wait()) }()
	}
	return b.sendTo(ctx, running, s, l)
}

// sendTo puts a running subject under a load.
func (b *bench) sendTo(ctx context.Context, running *server, s subject, l load) (seen measurement, err error) {
	l.Addr, l.Path, l.Pool = running.addr(), s.path, b.pool.file
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
