package intake

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

// The lowest rate at which a body of a caller who has proven nothing may arrive: so many bytes a second, counted from
// the end of a grace. It keeps strangers from holding for long what they have sent a few bytes for.
const (
	LeastRate = 1 << 10
	Grace     = 5 * time.Second
)

// firstRead is the memory that a body gets before any of it has arrived. What somebody declares and does not send costs
// no more than this.
const firstRead = 16 << 10

// Group is callers who share a pool while they are waited for or worked for, and have proven nothing yet.
type Group struct {
	Pool   *share.Pool
	Caller func(*http.Request) share.Caller // nil: whoever is connected, who has proven nothing

	// Part is what is set aside for each of them from the beginning. Default: 16 KiB, the memory for what a body
	// begins with; a pool of slots wants 1.
	Part int64
}

// NewGroup makes a group with a pool of its own, for those who are given none.
func NewGroup(name string, size, part int64) *Group {
	return &Group{Pool: share.New(name, size), Part: part}
}

// Take has a request's caller join the group until Release. The error is share.ErrFull.
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

// connected is who holds the other end of the connection.
func connected(r *http.Request) share.Caller {
	address, _ := netip.ParseAddrPort(r.RemoteAddr) // nobody where it cannot be read
	return share.Caller{Address: address.Addr()}
}

// Taken is a caller's place in a group. Its methods but giveUp are for one goroutine.
type Taken struct {
	hold    *share.Hold
	control *http.ResponseController
	request *http.Request
	part    int64
	began   time.Time
	proven  bool
	ctx     context.Context
	cancel  context.CancelCauseFunc

	mu     sync.Mutex // of what the pool may want of another goroutine
	ending ending
}

// ending is how far a Taken is on its way to its end.
type ending int

const (
	going   ending = iota
	gaveUp         // the pool wanted it back
	reading        // the body is being read
	ended
)

// Context is the request's, and ends early when the place is given up for others.
func (t *Taken) Context() context.Context { return t.ctx }

// Prove says that the caller has proven who it is: its place is never given up from now on. The error is
// share.ErrGivenUp where that comes too late.
func (t *Taken) Prove() error {
	if err := t.hold.Prove(); err != nil {
		return err
	}
	t.proven = true
	return nil
}

// GivenUp says whether the place was given up for others.
func (t *Taken) GivenUp() bool { return t.hold.GivenUp() }

// Release gives the place back. It may be called more than once, and must be before the handler returns.
func (t *Taken) Release() {
	t.mu.Lock()
	t.ending = ended
	t.mu.Unlock()
	t.hold.Release()
	t.cancel(context.Canceled)
}

// giveUp ends whatever is done for the caller. The pool calls it of the goroutine of whoever needs the place.
func (t *Taken) giveUp() {
	t.cancel(share.ErrGivenUp)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.ending {
	case reading:
		t.ending = gaveUp
		_ = t.control.SetReadDeadline(time.Unix(1, 0)) // a server that cannot has a deadline of its own
	case going:
		t.ending = gaveUp
	}
}
