package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/store"
)

// timedStore measures each call of a store and keeps the error of the last write.
type timedStore struct {
	store.Store
	metrics *metrics.Metrics
	failed  *atomic.Value // string: empty after a successful write
}

func newTimedStore(s store.Store, m *metrics.Metrics) timedStore {
	return timedStore{Store: s, metrics: m, failed: &atomic.Value{}}
}

// writeError returns the error of the last write, or "". A store may answer reads but refuse writes, for example when its
// disk is full.
func (t timedStore) writeError() string {
	why, _ := t.failed.Load().(string)
	return why
}

// wrote records the result of a write. It ignores conflicts, which are found before anything is written, and cancelled
// calls, which say nothing about the store.
func (t timedStore) wrote(err error) {
	switch {
	case err == nil:
		t.failed.Store("")
	case errors.As(err, new(*store.Conflict)), errors.Is(err, context.Canceled):
	default:
		t.failed.Store(err.Error())
	}
}

// begin starts the timer and a span for one call and returns the function that ends both.
func (t timedStore) begin(ctx context.Context, verb string) (context.Context, func(error)) {
	began := time.Now()
	ctx, end := span(ctx, "countersign store "+verb)
	return ctx, func(err error) {
		end(err)
		outcome := "ok"
		var conflict *store.Conflict
		switch {
		case errors.As(err, &conflict):
			outcome = "conflict"
		case err != nil:
			outcome = "error"
		}
		t.metrics.StoreCall(verb, outcome, time.Since(began))
	}
}

// Get implements store.Store.
func (t timedStore) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	ctx, end := t.begin(ctx, "get")
	found, err := t.Store.Get(ctx, keys...)
	end(err)
	return found, err
}

// Commit implements store.Store.
func (t timedStore) Commit(ctx context.Context, batch store.Batch) error {
	ctx, end := t.begin(ctx, "commit")
	err := t.Store.Commit(ctx, batch)
	end(err)
	t.wrote(err)
	return err
}

// Claim implements store.Store.
func (t timedStore) Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]store.Record, error) {
	ctx, end := t.begin(ctx, "claim")
	claimed, err := t.Store.Claim(ctx, queue, n, lease)
	end(err)
	return claimed, err
}

// List implements store.Store.
func (t timedStore) List(ctx context.Context, index, after string, limit int) ([]store.Record, error) {
	ctx, end := t.begin(ctx, "list")
	found, err := t.Store.List(ctx, index, after, limit)
	end(err)
	return found, err
}

// Dump implements store.Dumper. It is not timed, because its duration depends on the reader.
func (t timedStore) Dump(ctx context.Context, each func(store.Record) error) error {
	dumper, is := t.Store.(store.Dumper)
	if !is {
		return fmt.Errorf("%w: this engine does not support backups", store.ErrUnavailable)
	}
	return dumper.Dump(ctx, each)
}
