package memory

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// After random insertions and removals, an order is the sorted list of its places.
func TestOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var o order
	var want []place
	for step := range 6 * maxChunk {
		p := place{key: strconv.Itoa(random.IntN(4 * maxChunk))}
		i, found := slices.BinarySearchFunc(want, p, place.compare)
		switch {
		case found:
			o, want = o.without(p), slices.Delete(want, i, i+1)
		case step > 4*maxChunk:
			o = o.without(p) // which is not in the order
		default:
			o, want = o.with(p), slices.Insert(want, i, p)
		}
		from := place{key: strconv.Itoa(random.IntN(4 * maxChunk))}
		i, found = slices.BinarySearchFunc(want, from, place.compare)
		if found {
			i++
		}
		if got := slices.Collect(o.after(from)); !slices.Equal(got, want[i:]) {
			t.Fatalf("step %d: got places after %q: %d, want %d", step, from.key, len(got), len(want)-i)
		}
	}
	if len(o) < 2 {
		t.Fatalf("got %d chunks, want several, or the test proves nothing", len(o))
	}
	for _, p := range want {
		o = o.without(p)
	}
	if len(o) != 0 {
		t.Errorf("got %d chunks of an empty order, want 0", len(o))
	}
}
