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

	// The pool's lock guards the fields below.
	age            uint64
	part           int64
	of             *addressShare // nil: the caller is proven
	older, younger *Hold         // neighbours of the same address, by age
	state          state
}

type state int

const (
	held state = iota
	givenUp
	released
)

// Grow enlarges the part to the given size. It never shrinks it. After ErrGivenUp the hold is lost; after ErrFull it is
// unchanged.
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

// Prove marks the caller as proven and takes the hold out of its address's share. It returns ErrGivenUp if the hold is
// already lost.
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

// GivenUp reports whether the hold was given up for other callers.
func (h *Hold) GivenUp() bool {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	return h.state == givenUp
}

// joins adds the hold to an address as its youngest.
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

// leaves removes the hold from its address. Its part must be zero.
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

// change grows or shrinks the part.
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
