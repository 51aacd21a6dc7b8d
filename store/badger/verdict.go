package badger

import (
	"context"
	"sync"
	"sync/atomic"
)

// verdict says of which of Badger's commits it is known whether they were kept. Badger lets readers have a commit when its
// writing has ended, well or not, so that one that began to read meanwhile would see what a failed fsync has left in
// memory, and tell of it as of something that was kept.
type verdict struct {
	upTo atomic.Uint64 // Badger's timestamp of the last one

	mu    sync.Mutex
	moved chan struct{} // closed when upTo changes
}

func newVerdict(upTo uint64) *verdict {
	v := &verdict{moved: make(chan struct{})}
	v.upTo.Store(upTo)
	return v
}

// given is called when the outcome of a commit has been noted.
func (v *verdict) given(upTo uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.upTo.Store(upTo)
	close(v.moved)
	v.moved = make(chan struct{})
}

// await waits until the outcome of all commits up to one is known.
func (v *verdict) await(ctx context.Context, commit uint64) error {
	for v.upTo.Load() < commit {
		v.mu.Lock()
		moved := v.moved
		v.mu.Unlock()
		if v.upTo.Load() >= commit { // just before moved was looked at
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
