package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/outbound"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/store"
)

// pool holds what outlives a reload. On a reload the new configuration starts before the old one stops, and a
// Badger directory cannot be opened twice, so both share one open store by its identity, and with it the
// smartcard jobs that are running; key sets are shared so that the last good one survives.
var pool = caddy.NewUsagePool()

const (
	maxJobs     = 256              // smartcard jobs at one time
	jobsGrace   = 20 * time.Second // for running jobs when the process stops
	openTimeout = 30 * time.Second // for opening a store
)

// openStore is a store that is open, and the jobs that work on it.
type openStore struct {
	store.Store
	jobs *signing.Jobs
}

// Destruct runs when the last configuration lets go: first no job begins and those under way end or give their
// sessions back, then the store waits for its callers and closes.
func (o *openStore) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), jobsGrace)
	defer cancel()
	o.jobs.Close(ctx)
	return o.Close()
}

// pooled is one configuration's hold on the open store.
type pooled struct {
	mu       sync.Mutex
	key      string
	open     *openStore
	released bool
}

// acquire opens the app's store, or joins those who have it open. After release it still finds the store it had,
// for requests that are finishing.
func (p *pooled) acquire(a *App) (*openStore, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != nil {
		return p.open, nil
	}
	if p.released {
		return nil, fmt.Errorf("%w: this configuration has ended", store.ErrUnavailable)
	}
	key := "store " + a.engine.Identity()
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
		defer cancel()
		opened, err := a.engine.Open(ctx)
		if err != nil {
			return nil, err
		}
		return &openStore{Store: opened, jobs: signing.NewJobs(maxJobs)}, nil
	})
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	if err != nil {
		return nil, err
	}
	p.key, p.open = key, value.(*openStore)
	return p.open, nil
}

// release lets go if, and only if, the store was acquired, and once only.
func (p *pooled) release() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.released {
		return nil
	}
	p.released = true
	if p.open == nil {
		return nil
	}
	_, err := pool.Delete(p.key)
	return err
}

// lazyStore is the app's store for handlers, which may be asked before the app has started.
type lazyStore struct{ app *App }

func (l lazyStore) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	open, err := l.app.pooled.acquire(l.app)
	if err != nil {
		return nil, err
	}
	return open.Get(ctx, keys...)
}

func (l lazyStore) Commit(ctx context.Context, batch store.Batch) error {
	open, err := l.app.pooled.acquire(l.app)
	if err != nil {
		return err
	}
	return open.Commit(ctx, batch)
}

func (l lazyStore) Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]store.Record, error) {
	open, err := l.app.pooled.acquire(l.app)
	if err != nil {
		return nil, err
	}
	return open.Claim(ctx, queue, n, lease)
}

func (l lazyStore) List(ctx context.Context, index, after string, limit int) ([]store.Record, error) {
	open, err := l.app.pooled.acquire(l.app)
	if err != nil {
		return nil, err
	}
	return open.List(ctx, index, after, limit)
}

// Close does nothing: the app releases the store.
func (lazyStore) Close() error { return nil }

// Run starts a smartcard job beside the open store.
func (l lazyStore) Run(job func(ctx context.Context)) error {
	open, err := l.app.pooled.acquire(l.app)
	if err != nil {
		return err
	}
	return open.jobs.Run(job)
}

// keySets is the cache of clients' key sets, and the client that fetches them.
type keySets struct {
	key    string
	client *http.Client
	cache  *jwks.Cache
}

// Destruct ends fetches that are under way.
func (k *keySets) Destruct() error {
	k.cache.Close()
	k.client.CloseIdleConnections()
	return nil
}

// acquireKeySets finds the cache of the configurations that fetch under the same rules, or makes one. That is no
// I/O, so it happens in Provision.
func acquireKeySets(options outbound.Options, logger *slog.Logger) (*keySets, error) {
	key := fmt.Sprintf("key sets %v %v", options.AllowLocalhost, options.AllowNetworks)
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		client := outbound.New(options)
		return &keySets{key: key, client: client, cache: jwks.NewCache(client, jwks.CacheOptions{Logger: logger})}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*keySets), nil
}

func releaseKeySets(held *keySets) error {
	_, err := pool.Delete(held.key)
	return err
}
