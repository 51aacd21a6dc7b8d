package signing

import (
	"context"
	"errors"
	"sync"
)

// Jobs owns the runs of agents. It outlives a Service: a reloaded configuration makes new services, and
// what an old one has begun goes on.
type Jobs struct {
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{}

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// errBusy says that no more runs can begin at the moment.
var errBusy = errors.New("as many smartcard jobs are running as may run at one time")

// NewJobs allows so many runs at one time.
func NewJobs(limit int) *Jobs {
	ctx, cancel := context.WithCancel(context.Background())
	return &Jobs{ctx: ctx, cancel: cancel, slots: make(chan struct{}, limit)}
}

// Run starts a job, or says that there is no room for it. The job's context ends when Jobs is closed and
// its time is up.
func (r *Jobs) Run(job func(ctx context.Context)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errBusy
	}
	select {
	case r.slots <- struct{}{}:
	default:
		return errBusy
	}
	r.wg.Go(func() {
		defer func() { <-r.slots }()
		job(r.ctx)
	})
	return nil
}

// Close lets no new run begin and waits for those under way; when ctx ends first, they are told to stop and
// give their sessions back.
func (r *Jobs) Close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()
	defer r.cancel()
	r.wg.Wait()
}
