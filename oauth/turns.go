package oauth

import (
	"context"
	"fmt"
	"hash/maphash"
)

// turns lets one at a time through for each client. Clients share a few queues, which costs those that have a
// rate a little waiting and no memory.
type turns struct {
	seed   maphash.Seed
	queues [64]chan struct{}
}

func newTurns() turns {
	t := turns{seed: maphash.MakeSeed()}
	for i := range t.queues {
		t.queues[i] = make(chan struct{}, 1)
	}
	return t
}

// take waits for the client's turn, as long as ctx lets it.
func (t *turns) take(ctx context.Context, client string) (release func(), err error) {
	queue := t.queues[maphash.String(t.seed, client)%uint64(len(t.queues))]
	select {
	case queue <- struct{}{}:
		return func() { <-queue }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for the client's other tokens: %w", errContended, context.Cause(ctx))
	}
}
