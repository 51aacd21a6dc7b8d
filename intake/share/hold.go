package share

import (
	"container/heap"
	"errors"
	"net/netip"
)

// Hold is one caller's part of a Pool.
type Hold struct {
	pool   *Pool
	giveUp func()

	// All that follows is under the pool's lock.
	age            uint64
	part           int64
	of             *addressShare // nil: of somebody who has no share
	older, younger *Hold         // of the same address
	state          state
}

type state int

const (
	held state = iota
	givenUp
	released
)

// Grow makes the part as large as given, if it is smaller. The error is ErrGivenUp or ErrFull; after the first the hold
// is nothing any more, after the second it is as it was.
func (h *Hold) Grow(part int64) error {
	p := h.pool
	p.mu.Lock()
	if h.state != held {
		p.mu.Unlock()
		return ErrGivenUp
	}
	var victims []*Hold
	var err error
	if part > h.part {
		if victims, err = p.add(h, part-h.part); errors.Is(err, ErrFull) {
			p.use.Refused++
		}
	}
	p.mu.Unlock()
	release(victims)
	return err
}

// Prove says that the caller has proven who it is, so that its address has no share in the hold any more. It returns
// ErrGivenUp where that comes too late.
func (h *Hold) Prove() error {
	p := h.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.state != held {
		return ErrGivenUp
	}
	if h.of != nil {
		part := h.part
		h.change(-part)
		h.leaves()
		h.change(part)
	}
	return nil
}

// Release gives the part back. It may be called more than once.
func (h *Hold) Release() {
	p := h.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.state == held {
		p.remove(h)
	}
}

// GivenUp says whether the hold was given up for others.
func (h *Hold) GivenUp() bool {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	return h.state == givenUp
}

// joins makes the hold the youngest of an address.
func (h *Hold) joins(network netip.Prefix) {
	p := h.pool
	s := p.shares[network]
	if s == nil {
		s = &addressShare{network: network, oldest: h, newest: h}
		p.shares[network] = s
		h.of = s
		heap.Push(&p.order, s)
		return
	}
	h.of, h.older, s.newest.younger = s, s.newest, h
	s.newest = h
}

// leaves takes the hold, which has no part any more, from its address.
func (h *Hold) leaves() {
	s := h.of
	if s == nil {
		return
	}
	if h.older != nil {
		h.older.younger = h.younger
	} else {
		s.oldest = h.younger
	}
	if h.younger != nil {
		h.younger.older = h.older
	} else {
		s.newest = h.older
	}
	h.of, h.older, h.younger = nil, nil, nil
	p := h.pool
	if s.oldest == nil {
		heap.Remove(&p.order, s.place)
		delete(p.shares, s.network)
		return
	}
	heap.Fix(&p.order, s.place)
}

// change makes the part larger or smaller.
func (h *Hold) change(by int64) {
	p := h.pool
	h.part += by
	p.used += by
	if h.of == nil {
		p.proven += by
		return
	}
	h.of.held += by
	heap.Fix(&p.order, h.of.place)
}
