package memory

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// entry is one record in its maps and in the heap of expiries.
type entry struct {
	store.Record
	position int // in the heap
}

func (e *entry) copy() store.Record {
	r := e.Record
	r.Value = bytes.Clone(r.Value)
	return r
}

// place is where a record stands in a queue or, without a time, under an index.
type place struct {
	at  time.Time
	key string
}

func (p place) compare(q place) int {
	return cmp.Or(p.at.Compare(q.at), cmp.Compare(p.key, q.key))
}

// order is a sorted list of places.
type order []place

func (o order) with(p place) order {
	i, _ := slices.BinarySearchFunc(o, p, place.compare)
	return slices.Insert(o, i, p)
}

// after returns the places of an index whose keys are greater than key.
func (o order) after(key string) order {
	i, found := slices.BinarySearchFunc(o, place{key: key}, place.compare)
	if found {
		i++
	}
	return o[i:]
}

// leave takes a place out of the order of that name, and the name out of the map with the last place.
func leave(orders map[string]order, name string, p place) {
	o := orders[name]
	i, found := slices.BinarySearchFunc(o, p, place.compare)
	switch {
	case !found:
	case len(o) == 1:
		delete(orders, name)
	default:
		orders[name] = slices.Delete(o, i, i+1)
	}
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
