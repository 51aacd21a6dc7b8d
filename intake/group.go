package intake

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

// LeastRate is the minimum rate, in bytes per second, at which an unproven caller's body must arrive, measured after
// Grace. It keeps strangers from holding memory for long at the price of a few bytes.
const (
	LeastRate = 1 << 10
	Grace     = 5 * time.Second
)

// firstRead is the memory allocated before any of a body has arrived. A declared length that is never sent costs no more
// than this.
const firstRead = 16 << 10

// Group is a set of callers who share a pool while their requests are read and processed, until they are proven.
type Group struct {
	Pool   *share.Pool
	Caller func(*http.Request) share.Caller // default: the peer address, unproven

	// Part is reserved for each caller at the start. Default: 16 KiB, the first read buffer of a body. Set 1 for a pool
	// of slots.
	Part int64
}

// NewGroup makes a group with its own pool.
func NewGroup(name string, size, part int64) *Group {
	return &Group{Pool: share.New(name, size), Part: part}
}

// Take adds the request's caller to the group until Release. The error is share.ErrFull.
func (g *Group) Take(w http.ResponseWriter, r *http.Request) (*Taken, error) {
	part := g.Part
	if part <= 0 {
		part = firstRead
	}
	caller := connected
	if g.Caller != nil {
		caller = g.Caller
	}
	of := caller(r)
	t := &Taken{control: http.NewResponseController(w), request: r, proven: of.Proven, part: part, began: time.Now()}
	t.ctx, t.cancel = context.WithCancelCause(r.Context())
	var err error
	if t.hold, err = g.Pool.Take(of, part, t.giveUp); err != nil {
		t.cancel(err)
		return nil, err
	}
	return t, nil
}

// connected returns the peer of the connection as an unproven caller.
func connected(r *http.Request) share.Caller {
	address, _ := netip.ParseAddrPort(r.RemoteAddr) // invalid if it cannot be parsed
	return share.Caller{Address: address.Addr()}
}

// Taken is a caller's place in a group. Apart from giveUp, its methods must be called from one goroutine.
type Taken struct {
	hold    *share.Hold
	control *http.ResponseController
	request *http.Request
	part    int64
	began   time.Time
	proven  bool
	ctx     context.Context
	cancel  context.CancelCauseFunc

	mu     sync.Mutex // guards ending, because the pool calls giveUp from another goroutine
	ending ending
}

// ending is the state of a Taken.
type ending int

const (
	going   ending = iota
	gaveUp         // the pool reclaimed it
	reading        // the body is being read
	ended
)

// Context is the request's context. It also ends when the place is given up for other callers.
func (t *Taken) Context() context.Context { return t.ctx }

// Prove marks the caller as proven, so that its place is never given up. The error is share.ErrGivenUp if the place is
// already lost.
func (t *Taken) Prove() error {
	if err := t.hold.Prove(); err != nil {
		return err
	}
	t.proven = true
	return nil
}

// GivenUp reports whether the place was given up for other callers.
func (t *Taken) GivenUp() bool { return t.hold.GivenUp() }

// Release gives the place back. It must be called before the handler returns and may be called more than once.
func (t *Taken) Release() {
	t.mu.Lock()
	t.ending = ended
	t.mu.Unlock()
	t.hold.Release()
	t.cancel(context.Canceled)
}

// giveUp stops the work for the caller. The pool calls it from the goroutine of the caller that gets the place.
func (t *Taken) giveUp() {
	t.cancel(share.ErrGivenUp)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.ending {
	case reading:
		t.ending = gaveUp
		_ = t.control.SetReadDeadline(time.Unix(1, 0)) // a server without support has its own deadline
	case going:
		t.ending = gaveUp
	}
}
