package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/display"
	"github.com/seed-dd2befc3/countersign/eps"
)

const (
	displaysGrace = 5 * time.Second // for queued work when a configuration ends
	displaySweep  = time.Hour       // interval of the search for secrets that no longer protect anything
)

// displays holds the prescription displays of a configuration: the Keeper that all its sites share, and the Checker of its
// eps directives. The Checker starts with the first request, which may come before the app has started.
type displays struct {
	*display.Keeper
	logger *slog.Logger

	used     atomic.Bool // an eps directive keeps displays here
	mu       sync.Mutex
	checking func() *eps.Checker
	checker  *eps.Checker
	closed   bool
	cancel   context.CancelFunc
	sweeping sync.WaitGroup
}

func (a *App) provisionDisplays() error {
	keeper, err := display.New(display.Options{Store: lazyStore{a}, Vault: a.vault, Now: a.now})
	if err != nil {
		return err
	}
	a.displays = &displays{Keeper: keeper, logger: a.logger, checking: func() *eps.Checker {
		return eps.NewChecker(eps.CheckerOptions{Keeper: keeper, Observe: a.metrics.Value().Displayed, Now: a.now, Logger: a.logger})
	}}
	return nil
}

// start destroys secrets once they no longer protect anything.
func (d *displays) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.cancel != nil {
		return
	}
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.Background())
	d.sweeping.Go(func() {
		tick := time.NewTicker(displaySweep)
		defer tick.Stop()
		for {
			if err := d.Sweep(ctx); err != nil && ctx.Err() == nil {
				d.logger.Warn("cannot destroy the secrets of expired displays", "error", err.Error())
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// close stops the background work and gives queued work a short time to finish.
func (d *displays) close() {
	d.mu.Lock()
	checker, cancel := d.checker, d.cancel
	d.closed = true
	d.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	d.sweeping.Wait()
	if checker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), displaysGrace)
		defer cancel()
		checker.Close(ctx)
	}
}

// get returns the Checker, or nil if the configuration has ended.
func (d *displays) get() *eps.Checker {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checker == nil && !d.closed {
		d.checker = d.checking()
	}
	return d.checker
}

// differences returns the digest differences that the Checker found, if there is one.
func (d *displays) differences() (first *eps.Difference, all int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checker == nil {
		return nil, 0
	}
	return d.checker.Differences()
}

// differing adds a problem if prescriptions had other digests than we compute. It stays until the next reload.
func (l *problemList) differing(first *eps.Difference, all int) {
	if first != nil {
		l.add(fmt.Sprintf("%d since this configuration was loaded, the first at %s: client %s, type %q, items %d",
			all, first.Time.Format(time.RFC3339), first.Client, first.Type, first.Items),
			"Prescriptions were prepared with a digest that differs from the one computed here")
	}
}

// Checker returns the checker of prescriptions for handlers to call with each request, or nil after the configuration has
// ended. Its displays are kept in the store.
func (a *App) Checker() func() *eps.Checker {
	a.needed = true
	a.displays.used.Store(true)
	return a.displays.get
}

// HasClient reports whether a client is configured and not revoked.
func (a *App) HasClient(id string) bool {
	_, has := a.approved[id]
	return has
}

// PrescriptionAlgorithm returns the signature algorithm for a client's prescriptions: the first of its algorithms that EPS
// accepts (EPS-1.5).
func (a *App) PrescriptionAlgorithm(id string) string {
	for _, algorithm := range a.approved[id].Algorithms {
		if slices.Contains([]string{client.RS1, client.RS256}, algorithm) {
			return algorithm
		}
	}
	return client.RS256
}
