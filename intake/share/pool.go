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
	// ErrFull is that nobody can give anything up: all of the pool is held by those who have proven who they are.
	ErrFull = errors.New("the pool is full")
	// ErrGivenUp is that the hold was given up for others, because its address held most of the pool.
	ErrGivenUp = errors.New("given up for other callers: this address holds most of what there is for those who have proven nothing")
)

// Pool is a number of bytes or slots that holders have together. It is safe for concurrent use.
type Pool struct {
	name string
	size int64

	mu     sync.Mutex
	used   int64 // by all
	proven int64 // of it, by those who have no share
	shares map[netip.Prefix]*addressShare
	order  byGreed
	taken  uint64 // holds so far, which gives each its age
	use    Use    // what is counted
}

// New makes a pool of so many bytes or slots, at least one.
func New(name string, size int64) *Pool {
	return &Pool{name: name, size: max(1, size), shares: map[netip.Prefix]*addressShare{}}
}

// Use is how a pool stands.
type Use struct {
	Name     string
	Size     int64
	Proven   int64  // held by those who have proven who they are
	Unproven int64  // held by all others
	GivenUp  uint64 // holds that were given up for others since the pool was made
	Refused  uint64 // how often there was nothing to give up

	// Last is when a hold was last given up, by which address, and how much that held then. The zero Time: never.
	Last     time.Time
	LastFrom netip.Prefix
	LastHeld int64
}

// Use tells how the pool stands at this moment.
func (p *Pool) Use() Use {
	p.mu.Lock()
	defer p.mu.Unlock()
	use := p.use
	use.Name, use.Size, use.Proven, use.Unproven = p.name, p.size, p.proven, p.used-p.proven
	return use
}

// Take holds a part of the pool until Release. giveUp is called, of another goroutine, when the part is given up for
// others; it must not wait for the pool. The error is ErrFull.
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

// add makes a hold larger, and returns those that were given up for it. The lock is held. A hold that is itself the
// next to be given up is, with ErrGivenUp; what was given up for it before stays so.
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

// remove ends a hold's part. The lock is held.
func (p *Pool) remove(h *Hold) {
	h.change(-h.part)
	h.leaves()
	h.state = released
}

// release tells those who were given up.
func release(victims []*Hold) {
	for _, victim := range victims {
		victim.giveUp()
	}
}

// addressShare is what one address holds, and its holds in the order of their age.
type addressShare struct {
	network        netip.Prefix
	held           int64
	oldest, newest *Hold
	place          int // in the heap
}

// byGreed is a heap whose first has the largest share or, of equal ones, the oldest hold.
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
