package memory

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// entry is one record as it is referenced by the maps and the expiry heap.
type entry struct {
	store.Record
	position int // in the heap
}

func (e *entry) copy() store.Record {
	r := e.Record
	r.Value = bytes.Clone(r.Value)
	return r
}

// place is the position of a record in a queue or, without a time, under an index.
type place struct {
	at  time.Time
	key string
}

func (p place) compare(q place) int {
	return cmp.Or(p.at.Compare(q.at), cmp.Compare(p.key, q.key))
}

// order is a sorted list of places, split into chunks so that a change moves few of them. No chunk is empty.
type order [][]place

const maxChunk = 256

// find returns the chunk and the index in it where a place is or belongs. The order must not be empty.
func (o order) find(p place) (chunk, i int, found bool) {
	chunk, found = slices.BinarySearchFunc(o, p, func(c []place, p place) int { return c[0].compare(p) })
	if !found {
		chunk = max(chunk-1, 0)
	}
	i, found = slices.BinarySearchFunc(o[chunk], p, place.compare)
	return chunk, i, found
}

func (o order) with(p place) order {
	if len(o) == 0 {
		return order{{p}}
	}
	chunk, i, _ := o.find(p)
	o[chunk] = slices.Insert(o[chunk], i, p)
	if whole := o[chunk]; len(whole) > maxChunk {
		o[chunk] = whole[: maxChunk/2 : maxChunk/2]
		o = slices.Insert(o, chunk+1, slices.Clone(whole[maxChunk/2:]))
	}
	return o
}

func (o order) without(p place) order {
	if len(o) == 0 {
		return o
	}
	chunk, i, found := o.find(p)
	switch {
	case !found:
	case len(o[chunk]) == 1:
		o = slices.Delete(o, chunk, chunk+1)
	default:
		o[chunk] = slices.Delete(o[chunk], i, i+1)
	}
	return o
}

// after iterates over the places after p, which need not be in the order.
func (o order) after(p place) iter.Seq[place] {
	return func(yield func(place) bool) {
		if len(o) == 0 {
			return
		}
		chunk, i, found := o.find(p)
		if found {
			i++
		}
		for _, rest := range o[chunk:] {
			for _, p := range rest[i:] {
				if !yield(p) {
					return
				}
			}
			i = 0
		}
	}
}

// leave removes a place from the order of that name, and the name from the map if the order becomes empty.
func leave(orders map[string]order, name string, p place) {
	o, known := orders[name]
	if !known {
		return
	}
	if o = o.without(p); len(o) == 0 {
		delete(orders, name)
		return
	}
	orders[name] = o
}

// expiries is a heap.Interface of the records that expire, soonest first.
type expiries []*entry

func (x expiries) Len() int           { return len(x) }
func (x expiries) Less(i, j int) bool { return x[i].Expires.Before(x[j].Expires) }

func (x expiries) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].position, x[j].position = i, j
}

func (x *expiries) Push(e any) {
	added := e.(*entry) //nolint:errcheck // heap.Push is only called with one
	added.position = len(*x)
	*x = append(*x, added)
}

func (x *expiries) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	return e
}
