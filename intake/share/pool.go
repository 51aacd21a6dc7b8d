package share

import (
	"container/heap"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Errors of a Pool.
var (
	// ErrFull means that proven callers hold the whole pool, so that nothing can be given up.
	ErrFull = errors.New("the pool is full")
	// ErrGivenUp means that the hold was given up for other callers because its address had the largest share.
	ErrGivenUp = errors.New("given up for other callers: this address holds the largest share of what unauthenticated callers may use")
)

// Pool is a number of bytes or slots shared by all holders. It is safe for concurrent use.
type Pool struct {
	name string
	size int64

	mu     sync.Mutex
	used   int64 // by all callers
	proven int64 // by proven callers
	shares map[netip.Prefix]*addressShare
	order  byGreed
	taken  uint64 // number of holds so far; gives each hold its age
	use    Use    // counters
}

// New makes a pool of size bytes or slots, at least one.
func New(name string, size int64) *Pool {
	return &Pool{name: name, size: max(1, size), shares: map[netip.Prefix]*addressShare{}}
}

// Use is a snapshot of a pool.
type Use struct {
	Name     string
	Size     int64
	Proven   int64  // held by proven callers
	Unproven int64  // held by unproven callers
	GivenUp  uint64 // holds given up for other callers since the pool was made
	Refused  uint64 // times that ErrFull was returned

	// Last is when a hold was last given up, LastFrom its address and LastHeld that address's share then. The zero Time
	// means never.
	Last     time.Time
	LastFrom netip.Prefix
	LastHeld int64
}

// Use returns a snapshot of the pool.
func (p *Pool) Use() Use {
	p.mu.Lock()
	defer p.mu.Unlock()
	use := p.use
	use.Name, use.Size, use.Proven, use.Unproven = p.name, p.size, p.proven, p.used-p.proven
	return use
}

// Take holds a part of the pool until Release. The pool calls giveUp from another goroutine when the part is given up for
// other callers; giveUp must not call the pool. The error is ErrFull.
func (p *Pool) Take(of Caller, part int64, giveUp func()) (*Hold, error) {
	h := &Hold{pool: p, giveUp: giveUp}
	p.mu.Lock()
	p.taken++
	h.age = p.taken
	if !of.Proven {
		h.joins(Network(of.Address))
	}
	victims, err := p.add(h, part)
	if err != nil {
		p.remove(h)
		p.use.Refused++
	}
	p.mu.Unlock()
	release(victims)
	if err != nil {
		return nil, ErrFull
	}
	return h, nil
}

// add enlarges a hold and returns the holds given up for it. The lock is held. If the hold itself is next to be given up,
// it is, and the error is ErrGivenUp; holds given up before it stay given up.
func (p *Pool) add(h *Hold, more int64) (victims []*Hold, err error) {
	h.change(more)
	for p.used > p.size {
		if len(p.order) == 0 {
			h.change(-more)
			return victims, ErrFull
		}
		greedy := p.order[0]
		victim := greedy.oldest
		p.use.GivenUp++
		p.use.Last, p.use.LastFrom, p.use.LastHeld = time.Now(), greedy.network, greedy.held
		p.remove(victim)
		victim.state = givenUp
		if victim == h {
			return victims, ErrGivenUp
		}
		victims = append(victims, victim)
	}
	return victims, nil
}

// remove takes a hold out of the pool. The lock is held.
func (p *Pool) remove(h *Hold) {
	h.change(-h.part)
	h.leaves()
	h.state = released
}

// release calls giveUp for each hold that was given up.
func release(victims []*Hold) {
	for _, victim := range victims {
		victim.giveUp()
	}
}

// addressShare is what one address holds, with its holds linked by age.
type addressShare struct {
	network        netip.Prefix
	held           int64
	oldest, newest *Hold
	place          int // in the heap
}

// byGreed is a heap with the largest share first and, between equal shares, the one with the oldest hold.
type byGreed []*addressShare

// Len implements heap.Interface.
func (b byGreed) Len() int { return len(b) }

// Less implements heap.Interface.
func (b byGreed) Less(i, j int) bool {
	if b[i].held != b[j].held {
		return b[i].held > b[j].held
	}
	return b[i].oldest.age < b[j].oldest.age
}

// Swap implements heap.Interface.
func (b byGreed) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].place, b[j].place = i, j
}

// Push implements heap.Interface.
func (b *byGreed) Push(share any) {
	s := share.(*addressShare)
	s.place = len(*b)
	*b = append(*b, s)
}

// Pop implements heap.Interface.
func (b *byGreed) Pop() any {
	last := len(*b) - 1
	share := (*b)[last]
	(*b)[last] = nil
	*b = (*b)[:last]
	return share
}

var _ heap.Interface = (*byGreed)(nil)
