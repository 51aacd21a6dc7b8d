package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/backup"
)

const (
	maxJobs     = 256              // smartcard jobs at one time
	jobsGrace   = 10 * time.Second // for running jobs when the process stops
	lastGrace   = 5 * time.Second  // for the audit log's last head
	openTimeout = 30 * time.Second // for opening a store
)

// openStore is an open store with its workers: smartcard jobs and the delivery of webhooks.
type openStore struct {
	store.Store
	jobs     *signing.Jobs
	webhooks *webhook.Dispatcher

	mu   sync.Mutex
	last func(context.Context, store.Store) // runs before the store closes
}

// beforeClose registers a function that runs on the store when nothing else uses it any more.
func (o *openStore) beforeClose(last func(context.Context, store.Store)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = last
}

func newOpenStore(opened store.Store, observer webhook.Observer, now func() time.Time) *openStore {
	return &openStore{
		Store: opened, jobs: signing.NewJobs(maxJobs),
		webhooks: webhook.New(webhook.Options{Store: opened, Observer: observer, Now: now}),
	}
}

// Destruct runs when the last configuration releases the store. It stops new jobs and deliveries, waits until running ones
// end or give their sessions back, and closes the store once its callers are done.
func (o *openStore) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), jobsGrace)
	defer cancel()
	o.jobs.Close(ctx)
	o.webhooks.Close(ctx)
	o.mu.Lock()
	last := o.last
	o.mu.Unlock()
	if last != nil {
		ctx, cancel := context.WithTimeout(context.Background(), lastGrace)
		defer cancel()
		last(ctx, o.Store)
	}
	return o.Close()
}

// openStore opens the app's store, or returns it if it is open.
func (a *App) openStore() (*openStore, error) {
	open, err := a.store.Acquire("store "+a.engine.Identity(), func() (*openStore, error) {
		ctx, cancel := context.WithTimeout(a.life, openTimeout) // not the first caller's context: the store is shared
		defer cancel()
		opened, err := a.engine.Open(ctx)
		if err != nil {
			return nil, err
		}
		unfinished, err := backup.Unfinished(ctx, opened)
		if err == nil && unfinished {
			err = errors.New("an unfinished restore has left the store incomplete: empty the store and restore again")
		}
		if err != nil {
			return nil, errors.Join(err, opened.Close())
		}
		return newOpenStore(newTimedStore(spoiled(opened), a.metrics.Value()), a.metrics.Value(), a.now), nil
	})
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return open, err
}

// lazyStore is the app's store for handlers, which may use it before the app has started.
type lazyStore struct{ app *App }

func (l lazyStore) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	open, err := l.app.openStore() //nolint:contextcheck // shared, so not opened with this call's context
	if err != nil {
		return nil, err
	}
	return open.Get(ctx, keys...)
}

func (l lazyStore) Commit(ctx context.Context, batch store.Batch) error {
	open, err := l.app.openStore() //nolint:contextcheck // shared, so not opened with this call's context
	if err != nil {
		return err
	}
	return open.Commit(ctx, batch)
}

func (l lazyStore) Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]store.Record, error) {
	open, err := l.app.openStore() //nolint:contextcheck // shared, so not opened with this call's context
	if err != nil {
		return nil, err
	}
	return open.Claim(ctx, queue, n, lease)
}

func (l lazyStore) List(ctx context.Context, index, after string, limit int) ([]store.Record, error) {
	open, err := l.app.openStore() //nolint:contextcheck // shared, so not opened with this call's context
	if err != nil {
		return nil, err
	}
	return open.List(ctx, index, after, limit)
}

// Close does nothing: the app releases the store.
func (lazyStore) Close() error { return nil }

// Run starts a smartcard job on the open store.
func (l lazyStore) Run(job func(ctx context.Context)) error {
	open, err := l.app.openStore() //nolint:contextcheck // shared, so not opened with this call's context
	if err != nil {
		return err
	}
	return open.jobs.Run(job)
}
