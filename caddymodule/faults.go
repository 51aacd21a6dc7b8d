//go:build countersign_faults

// What only the fault harness builds, to see that it would notice: a clock that can be moved, and a store that
// acknowledges what is not kept yet. See test/faults.

package caddymodule

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Variables of a fault build.
const (
	faultVariable = "COUNTERSIGN_FAULT"
	clockVariable = "COUNTERSIGN_FAULT_CLOCK" // the path of a file with a duration in it, by which the clock is wrong
)

// Faults of a store, as faultVariable names them.
const (
	earlyAnswer     = "early-answer"     // a new session is acknowledged before it is kept
	earlyCompletion = "early-completion" // signatures can be seen before they are kept
	earlyCallback   = "early-callback"   // the client is told that it is signed before that is kept
)

// tooEarly is by how much.
const tooEarly = 800 * time.Millisecond

// clock is the machine's, off by what the file says at the moment.
func clock() func() time.Time {
	path := os.Getenv(clockVariable)
	if path == "" {
		return time.Now
	}
	return func() time.Time {
		text, err := os.ReadFile(path) //nolint:gosec // the harness names it
		if err != nil {
			panic(err)
		}
		offset, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err != nil {
			panic(err)
		}
		return time.Now().Add(offset)
	}
}

func spoiled(s store.Store) store.Store {
	switch fault := os.Getenv(faultVariable); fault {
	case earlyAnswer, earlyCompletion, earlyCallback:
		return &hasty{Store: s, fault: fault, early: map[string]store.Record{}}
	}
	return s
}

// hasty is a store that shows some records before it has them.
type hasty struct {
	store.Store
	fault string

	mu    sync.Mutex
	early map[string]store.Record
}

// notYet is the version of a record that is shown early. No check on it holds.
const notYet = store.Version(1) << 63

// Get returns what is there, and what will be.
func (h *hasty) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	records, err := h.Store.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, key := range keys {
		if record, early := h.early[key]; early {
			records[i] = record
		}
	}
	return records, nil
}

// Commit is too early with what the fault is about, and as it should be with all else.
func (h *hasty) Commit(ctx context.Context, batch store.Batch) error {
	switch {
	case h.fault == earlyAnswer && creates(batch):
		h.show(batch)
		go func() { //nolint:gosec // nobody waits for it: that is the fault
			<-time.After(tooEarly)
			_ = h.Store.Commit(context.Background(), batch)
			h.hide(batch)
		}()
		return nil
	case h.fault == earlyCompletion && releases(batch):
		h.show(batch)
		defer h.hide(batch)
		<-time.After(tooEarly)
	case h.fault == earlyCallback && releases(batch):
		if err := h.Store.Commit(ctx, store.Batch{Then: callbacks(batch)}); err != nil {
			return err
		}
		<-time.After(tooEarly)
	}
	return h.Store.Commit(ctx, batch)
}

// callbacks are the webhooks in a batch.
func callbacks(batch store.Batch) (ops []store.Op) {
	for _, op := range batch.Then {
		if op.Put != nil && strings.HasPrefix(op.Put.Key, "webhook/") {
			ops = append(ops, op)
		}
	}
	return ops
}

func creates(batch store.Batch) bool {
	for _, check := range batch.If {
		if check.Version == 0 && strings.HasPrefix(check.Key, "session/") {
			return true
		}
	}
	return false
}

func releases(batch store.Batch) bool {
	for _, op := range batch.Then {
		if op.Put != nil && strings.HasPrefix(op.Put.Key, "result/") {
			return true
		}
	}
	return false
}

func (h *hasty) show(batch store.Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range batch.Then {
		if op.Put != nil {
			record := *op.Put
			record.Version = notYet
			h.early[record.Key] = record
		}
	}
}

func (h *hasty) hide(batch store.Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range batch.Then {
		if op.Put != nil {
			delete(h.early, op.Put.Key)
		}
	}
}
