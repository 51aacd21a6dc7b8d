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

// taker takes parts of a pool and notes who had to give up, in the order in which they did.
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
		k.t.Fatalf("%s: got %v, want its part", name, err)
	}
}

func (k *taker) wantGone(names ...string) {
	k.t.Helper()
	if !slices.Equal(k.gone, names) {
		k.t.Errorf("got given up: %v, want %v", k.gone, names)
	}
}

func TestTheGreediestGivesUpItsOldest(t *testing.T) {
	k := newTaker(t, 5)
	k.mustTake("honest", "192.0.2.1", 1)
	for i := range 10 {
		k.mustTake(fmt.Sprint("greedy", i), "198.51.100.1", 1)
	}
	k.wantGone("greedy0", "greedy1", "greedy2", "greedy3", "greedy4", "greedy5")
	k.mustTake("newcomer", "203.0.113.1", 1)
	k.wantGone("greedy0", "greedy1", "greedy2", "greedy3", "greedy4", "greedy5", "greedy6")
	if k.holds["honest"].GivenUp() || !k.holds["greedy6"].GivenUp() {
		t.Error("GivenUp says something else than what happened")
	}
}

func TestOfEqualSharesTheOldestGoes(t *testing.T) {
	k := newTaker(t, 3)
	k.mustTake("a", "192.0.2.1", 1)
	k.mustTake("b", "192.0.2.2", 1)
	k.mustTake("c", "192.0.2.3", 1)
	k.mustTake("d", "192.0.2.4", 1)
	k.mustTake("e", "192.0.2.5", 1)
	k.wantGone("a", "b")
}

func TestWhatGrowsCounts(t *testing.T) {
	k := newTaker(t, 10)
	k.mustTake("large", "192.0.2.1", 1)
	k.mustTake("small", "192.0.2.2", 4)
	if err := k.holds["large"].Grow(6); err != nil {
		t.Fatal(err)
	}
	k.mustTake("newcomer", "192.0.2.3", 1)
	k.wantGone("large")
	if err := k.holds["large"].Grow(7); !errors.Is(err, share.ErrGivenUp) {
		t.Errorf("growing after it was given up: got %v", err)
	}
	if err := k.holds["large"].Prove(); !errors.Is(err, share.ErrGivenUp) {
		t.Errorf("proving after it was given up: got %v", err)
	}
	if err := k.holds["small"].Grow(10); !errors.Is(err, share.ErrGivenUp) {
		t.Errorf("what grows to be the largest of a full pool: got %v", err)
	}
	k.wantGone("large") // who grows is told by the error
	if use := k.pool.Use(); use.Unproven != 1 || use.GivenUp != 2 {
		t.Errorf("got %+v, want 1 of the newcomer's and two given up", use)
	}
}

func TestTheProvenKeepWhatTheyHold(t *testing.T) {
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
		t.Errorf("a stranger where only the proven hold anything: got %v, want ErrFull", err)
	}
	if err := k.take("third", proven, 1); !errors.Is(err, share.ErrFull) {
		t.Errorf("one more of the proven: got %v, want ErrFull", err)
	}
	if use := k.pool.Use(); use.Proven != 3 || use.Unproven != 0 || use.Refused != 2 {
		t.Errorf("got %+v, want 3 proven and two refused", use)
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
		{"two of IPv4", "192.0.2.1", "192.0.2.2", false},
		{"one, both ways written", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"a /64", "2001:db8::1", "2001:db8::ffff:2", true},
		{"another /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"a link", "fe80::1%eth0", "fe80::1%eth1", true},
	} {
		a, b := share.Network(netip.MustParseAddr(c.a)), share.Network(netip.MustParseAddr(c.b))
		if (a == b) != c.one || !a.IsValid() {
			t.Errorf("%s: got %s and %s, want one: %v", c.name, a, b, c.one)
		}
	}
	if unknown := share.Network(netip.Addr{}); unknown.IsValid() {
		t.Errorf("nobody knows from where: got %s", unknown)
	}
}

// A simple model of a pool, which looks at everybody each time.
type model struct {
	size  int64
	holds []*modelHold // in the order of their age
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

// next is the oldest hold of the address with the largest share, of equal ones the one with the oldest hold.
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

// settle has holds given up until what is held fits.
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

// Whatever callers do, the pool does what the model does.
func TestPoolIsItsModel(t *testing.T) {
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
					t.Fatalf("seed %d, step %d: taking: got %v, want kept: %v", seed, step, err, kept)
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
					t.Fatalf("seed %d, step %d: growing: got %v, want kept: %v", seed, step, err, kept)
				}
			case what < 8:
				h := m.holds[random.IntN(len(m.holds))]
				h.proven = true
				if err := k.holds[h.name].Prove(); err != nil {
					t.Fatalf("seed %d, step %d: proving: %v", seed, step, err)
				}
			default:
				h := m.holds[random.IntN(len(m.holds))]
				m.drop(h)
				k.holds[h.name].Release()
			}
			if !slices.Equal(k.gone, want) {
				t.Fatalf("seed %d, step %d: got given up: %v, want %v", seed, step, k.gone, want)
			}
			all, proven := m.used()
			if use := k.pool.Use(); use.Unproven+use.Proven != all || use.Proven != proven {
				t.Fatalf("seed %d, step %d: got %+v, want %d in all and %d proven", seed, step, use, all, proven)
			}
		}
	}
}
