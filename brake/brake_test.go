package brake_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/brake"
	"github.com/seed-dd2befc3/countersign/intake/share"
)

var (
	here  = netip.MustParseAddr("192.0.2.7")
	there = netip.MustParseAddr("198.51.100.9")
)

// hold has n refusals answered one after the other, and returns the outcomes and the time it took.
func hold(t *testing.T, b *brake.Brake, from netip.Addr, n int) (outcomes map[brake.Outcome]int, took time.Duration) {
	t.Helper()
	outcomes = map[brake.Outcome]int{}
	began := time.Now()
	for range n {
		outcomes[b.Hold(t.Context(), share.Caller{Address: from})]++
	}
	return outcomes, time.Since(began)
}

func TestOneAddressIsAnsweredAtItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brake.New(brake.Options{Rate: 10, Burst: 30})
		if outcomes, took := hold(t, b, here, 30); took != 0 || outcomes[brake.AtOnce] != 30 {
			t.Fatalf("burst: took %s with %v, want all answered at once", took, outcomes)
		}
		if outcomes, took := hold(t, b, here, 50); took != 5*time.Second || outcomes[brake.Waited] != 50 {
			t.Errorf("50 more at 10 per second: took %s with %v, want 5s", took, outcomes)
		}
		if _, took := hold(t, b, there, 30); took != 0 {
			t.Errorf("another address waited %s, want no wait", took)
		}
		<-time.After(3 * time.Second)
		if _, took := hold(t, b, here, 30); took != 0 {
			t.Errorf("after a quiet time the address waited %s, want no wait", took)
		}
	})
}

func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brake.New(brake.Options{Rate: 10, Burst: 1, Longest: 2 * time.Second, Waiting: share.New("refusals", 300)})
		came := make(chan brake.Outcome, 300)
		var all sync.WaitGroup
		began := time.Now()
		for range 300 {
			all.Go(func() { came <- b.Hold(t.Context(), share.Caller{Address: here}) })
		}
		all.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("all were answered after %s, want the longest wait", took)
		}
		outcomes := map[brake.Outcome]int{}
		for range 300 {
			outcomes[<-came]++
		}
		if outcomes[brake.AtOnce] != 1 || outcomes[brake.Waited] != 20 || outcomes[brake.Close] != 279 {
			t.Errorf("got outcomes %v, want 1 at once, the 20 of two seconds, and 279 connections closed", outcomes)
		}
		<-time.After(time.Second)
		if _, took := hold(t, b, here, 1); took != 0 {
			t.Errorf("next answer waited %s: closed connections used up others' turns", took)
		}
	})
}

// Where no more may wait, those of the address with the most of them are answered early, and their connections closed.
func TestNoMoreMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brake.New(brake.Options{Rate: 1, Burst: 1, Longest: 2 * time.Second, Waiting: share.New("refusals", 20)})
		hold(t, b, there, 1)
		other := make(chan brake.Outcome, 1)
		go func() { other <- b.Hold(t.Context(), share.Caller{Address: there}) }()
		synctest.Wait()
		began := time.Now()
		var all sync.WaitGroup
		var early atomic.Int32
		for range 100 {
			all.Go(func() {
				if b.Hold(t.Context(), share.Caller{Address: here}) == brake.Close && time.Since(began) == 0 {
					early.Add(1)
				}
			})
		}
		all.Wait()
		if got := early.Load(); got != 80 { // one was answered at once, and one of the 20 is another's
			t.Errorf("got %d closed at once, want 80", got)
		}
		if got := <-other; got != brake.Waited {
			t.Errorf("the other address: got %s, want %s", got, brake.Waited)
		}
	})
}

func TestWhoHasGoneWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brake.New(brake.Options{Rate: 1, Burst: 1})
		hold(t, b, here, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		b.Hold(ctx, share.Caller{Address: here})
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("waited %s after the context ended", took)
		}
	})
}

func TestAddresses(t *testing.T) {
	one := netip.MustParseAddr
	for _, c := range []struct {
		name   string
		a, b   netip.Addr
		shared bool
	}{
		{"two of IPv4", one("192.0.2.1"), one("192.0.2.2"), false},
		{"one, both ways written", one("192.0.2.1"), one("::ffff:192.0.2.1"), true},
		{"a /64", one("2001:db8::1"), one("2001:db8::ffff:2"), true},
		{"another /64", one("2001:db8::1"), one("2001:db8:0:1::1"), false},
		{"a link", one("fe80::1%eth0"), one("fe80::1%eth1"), true},
		{"nobody knows from where", netip.Addr{}, netip.Addr{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brake.New(brake.Options{Rate: 1, Burst: 1})
				hold(t, b, c.a, 1)
				if _, took := hold(t, b, c.b, 1); (took > 0) != c.shared {
					t.Errorf("second address waited %s", took)
				}
			})
		})
	}
}

// The number of tracked addresses is bounded: further ones share a bucket until others have been quiet.
func TestManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brake.New(brake.Options{Rate: 1, Burst: 2, Addresses: 100})
		address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }
		for n := range 100 {
			hold(t, b, address(n), 1)
		}
		if _, took := hold(t, b, address(100), 2); took != 0 {
			t.Errorf("first of the other addresses waited %s, want no wait", took)
		}
		if _, took := hold(t, b, address(101), 1); took == 0 {
			t.Error("other addresses have a bucket each, want a shared one")
		}
		<-time.After(10 * time.Second)
		for n := range 50 {
			if _, took := hold(t, b, address(200+n), 2); took != 0 {
				t.Fatalf("after a quiet time new address %d waited %s, want no wait", n, took)
			}
		}
	})
}
