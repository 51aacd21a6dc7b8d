package badger

import (
	"context"
	"sync"
	"sync/atomic"
)

// verdict knows up to which of Badger's commits the outcome is known. Badger shows a commit to readers when its write has
// ended, well or not. A reader that starts meanwhile would see in memory what a failed fsync did not make durable, and
// report it as kept.
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

// given records that the outcomes of all commits up to one are known.
func (v *verdict) given(upTo uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.upTo.Store(upTo)
	close(v.moved)
	v.moved = make(chan struct{})
}

// await waits until the outcomes of all commits up to one are known.
func (v *verdict) await(ctx context.Context, commit uint64) error {
	for v.upTo.Load() < commit {
		v.mu.Lock()
		moved := v.moved
		v.mu.Unlock()
		if v.upTo.Load() >= commit { // changed just before moved was read
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
