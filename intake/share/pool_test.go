package share_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

func from(address string) share.Caller { return share.Caller{Address: netip.MustParseAddr(address)} }

// taker takes parts of a pool and records the holds that were given up, in order.
type taker struct {
	t     *testing.T
	pool  *share.Pool
	holds map[string]*share.Hold
	gone  []string
}

func newTaker(t *testing.T, size int64) *taker {
	return &taker{t: t, pool: share.New("test", size), holds: map[string]*share.Hold{}}
}

func (k *taker) take(name string, of share.Caller, part int64) error {
	hold, err := k.pool.Take(of, part, func() { k.gone = append(k.gone, name) })
	k.holds[name] = hold
	return err
}

func (k *taker) mustTake(name, address string, part int64) {
	k.t.Helper()
	if err := k.take(name, from(address), part); err != nil {
		k.t.Fatalf("%s: got %v, want no error", name, err)
	}
}

func (k *taker) wantGone(names ...string) {
	k.t.Helper()
	if !slices.Equal(k.gone, names) {
		k.t.Errorf("given up: got %v, want %v", k.gone, names)
	}
}

func TestLargestShareGivesUpItsOldestHold(t *testing.T) {
	k := newTaker(t, 5)
	k.mustTake("honest", "192.0.2.1", 1)
	for i := range 10 {
		k.mustTake(fmt.Sprint("greedy", i), "198.51.100.1", 1)
	}
	k.wantGone("greedy0", "greedy1", "greedy2", "greedy3", "greedy4", "greedy5")
	k.mustTake("newcomer", "203.0.113.1", 1)
	k.wantGone("greedy0", "greedy1", "greedy2", "greedy3", "greedy4", "greedy5", "greedy6")
	if k.holds["honest"].GivenUp() || !k.holds["greedy6"].GivenUp() {
		t.Errorf("GivenUp: got honest %v, greedy6 %v; want false, true", k.holds["honest"].GivenUp(), k.holds["greedy6"].GivenUp())
	}
}

func TestBetweenEqualSharesTheOldestHoldIsGivenUp(t *testing.T) {
	k := newTaker(t, 3)
	k.mustTake("a", "192.0.2.1", 1)
	k.mustTake("b", "192.0.2.2", 1)
	k.mustTake("c", "192.0.2.3", 1)
	k.mustTake("d", "192.0.2.4", 1)
	k.mustTake("e", "192.0.2.5", 1)
	k.wantGone("a", "b")
}

func TestGrowingEnlargesTheShare(t *testing.T) {
	k := newTaker(t, 10)
	k.mustTake("large", "192.0.2.1", 1)
	k.mustTake("small", "192.0.2.2", 4)
	if err := k.holds["large"].Grow(6); err != nil {
		t.Fatal(err)
	}
	k.mustTake("newcomer", "192.0.2.3", 1)
	k.wantGone("large")
	if err := k.holds["large"].Grow(7); !errors.Is(err, share.ErrGivenUp) {
		t.Errorf("Grow after the hold was given up: got %v, want ErrGivenUp", err)
	}
	if err := k.holds["large"].Prove(); !errors.Is(err, share.ErrGivenUp) {
		t.Errorf("Prove after the hold was given up: got %v, want ErrGivenUp", err)
	}
	if err := k.holds["small"].Grow(10); !errors.Is(err, share.ErrGivenUp) {
		t.Errorf("growing into the largest share of a full pool: got %v, want ErrGivenUp", err)
	}
	k.wantGone("large") // the growing hold learns it from the error
	if use := k.pool.Use(); use.Unproven != 1 || use.GivenUp != 2 {
		t.Errorf("got %+v, want 1 unproven (the newcomer) and 2 given up", use)
	}
}

func TestProvenCallersKeepTheirHolds(t *testing.T) {
	k := newTaker(t, 3)
	proven := from("192.0.2.1")
	proven.Proven = true
	for i := range 2 {
		if err := k.take(fmt.Sprint("proven", i), proven, 1); err != nil {
			t.Fatal(err)
		}
	}
	k.mustTake("stranger", "192.0.2.1", 1)
	k.mustTake("another", "192.0.2.1", 1)
	k.wantGone("stranger")
	if err := k.holds["another"].Prove(); err != nil {
		t.Fatal(err)
	}
	if err := k.take("late", from("192.0.2.2"), 1); !errors.Is(err, share.ErrFull) {
		t.Errorf("stranger, pool full of proven callers: got %v, want ErrFull", err)
	}
	if err := k.take("third", proven, 1); !errors.Is(err, share.ErrFull) {
		t.Errorf("another proven caller, pool full of proven callers: got %v, want ErrFull", err)
	}
	if use := k.pool.Use(); use.Proven != 3 || use.Unproven != 0 || use.Refused != 2 {
		t.Errorf("got %+v, want 3 proven, 0 unproven, 2 refused", use)
	}
	k.holds["proven0"].Release()
	k.holds["proven0"].Release() // does nothing
	k.mustTake("early", "192.0.2.2", 1)
	k.wantGone("stranger")
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		one        bool
	}{
		{"two IPv4 addresses", "192.0.2.1", "192.0.2.2", false},
		{"IPv4 and IPv4-mapped", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"same /64", "2001:db8::1", "2001:db8::ffff:2", true},
		{"another /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"link-local, two zones", "fe80::1%eth0", "fe80::1%eth1", true},
	} {
		a, b := share.Network(netip.MustParseAddr(c.a)), share.Network(netip.MustParseAddr(c.b))
		if (a == b) != c.one || !a.IsValid() {
			t.Errorf("%s: got %s and %s, want the same: %v", c.name, a, b, c.one)
		}
	}
	if unknown := share.Network(netip.Addr{}); unknown.IsValid() {
		t.Errorf("unknown address: got %s, want the zero Prefix", unknown)
	}
}

// A simple model of a pool: it searches all holds each time.
type model struct {
	size  int64
	holds []*modelHold // oldest first
}

type modelHold struct {
	name    string
	address netip.Addr
	part    int64
	proven  bool
}

func (m *model) used() (all, proven int64) {
	for _, h := range m.holds {
		all += h.part
		if h.proven {
			proven += h.part
		}
	}
	return all, proven
}

// next returns the oldest hold of the address with the largest share; between equal shares, the oldest hold.
func (m *model) next() *modelHold {
	shares := map[netip.Addr]int64{}
	var found *modelHold
	for _, h := range m.holds {
		if !h.proven {
			shares[h.address] += h.part
		}
	}
	for _, h := range m.holds {
		if !h.proven && (found == nil || shares[h.address] > shares[found.address]) {
			found = h
		}
	}
	return found
}

func (m *model) drop(h *modelHold) {
	m.holds = slices.DeleteFunc(m.holds, func(other *modelHold) bool { return other == h })
}

// settle gives up holds until the rest fits.
func (m *model) settle() (gone []string) {
	for {
		if all, _ := m.used(); all <= m.size {
			return gone
		}
		next := m.next()
		if next == nil {
			return gone
		}
		m.drop(next)
		gone = append(gone, next.name)
	}
}

// The pool behaves like the model under random calls.
func TestPoolMatchesItsModel(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 12))
		size := 1 + random.Int64N(40)
		k, m := newTaker(t, size), &model{size: size}
		for step := range 300 {
			k.gone = nil
			var want []string
			what := random.IntN(10)
			switch {
			case what < 4 || len(m.holds) == 0:
				h := &modelHold{name: fmt.Sprint("h", step), part: 1, proven: random.IntN(8) == 0,
					address: netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(5))})}
				m.holds = append(m.holds, h)
				want = m.settle()
				err := k.take(h.name, share.Caller{Address: h.address, Proven: h.proven}, h.part)
				if all, _ := m.used(); all > m.size {
					m.drop(h)
				}
				kept := slices.Contains(m.holds, h)
				want = slices.DeleteFunc(want, func(name string) bool { return name == h.name })
				if (err == nil) != kept {
					t.Fatalf("seed %d, step %d: Take: got %v, want kept: %v", seed, step, err, kept)
				}
			case what < 7:
				h := m.holds[random.IntN(len(m.holds))]
				before := h.part
				h.part += 1 + random.Int64N(6)
				want = m.settle()
				err := k.holds[h.name].Grow(h.part)
				kept := slices.Contains(m.holds, h)
				if all, _ := m.used(); all > m.size {
					h.part, kept = before, false
				}
				want = slices.DeleteFunc(want, func(name string) bool { return name == h.name })
				if (err == nil) != kept {
					t.Fatalf("seed %d, step %d: Grow: got %v, want kept: %v", seed, step, err, kept)
				}
			case what < 8:
				h := m.holds[random.IntN(len(m.holds))]
				h.proven = true
				if err := k.holds[h.name].Prove(); err != nil {
					t.Fatalf("seed %d, step %d: Prove: got %v, want no error", seed, step, err)
				}
			default:
				h := m.holds[random.IntN(len(m.holds))]
				m.drop(h)
				k.holds[h.name].Release()
			}
			if !slices.Equal(k.gone, want) {
				t.Fatalf("seed %d, step %d: given up: got %v, want %v", seed, step, k.gone, want)
			}
			all, proven := m.used()
			if use := k.pool.Use(); use.Unproven+use.Proven != all || use.Proven != proven {
				t.Fatalf("seed %d, step %d: got %+v, want %d in all and %d proven", seed, step, use, all, proven)
			}
		}
	}
}
