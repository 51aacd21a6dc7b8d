package limiter_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/limiter"
)

var (
	here  = netip.MustParseAddr("192.0.2.7")
	there = netip.MustParseAddr("198.51.100.9")
)

// hold answers n refusals one after the other and returns their outcomes and the time taken.
func hold(t *testing.T, l *limiter.Limiter, from netip.Addr, n int) (outcomes map[limiter.Outcome]int, took time.Duration) {
	t.Helper()
	outcomes = map[limiter.Outcome]int{}
	began := time.Now()
	for range n {
		outcomes[l.Hold(t.Context(), share.Caller{Address: from})]++
	}
	return outcomes, time.Since(began)
}

func TestAddressIsAnsweredAtRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter.New(limiter.Options{Rate: 10, Burst: 30})
		if outcomes, took := hold(t, l, here, 30); took != 0 || outcomes[limiter.AtOnce] != 30 {
			t.Fatalf("burst: got %v in %s, want 30 answered at once", outcomes, took)
		}
		if outcomes, took := hold(t, l, here, 50); took != 5*time.Second || outcomes[limiter.Waited] != 50 {
			t.Errorf("50 more at 10 per second: got %v in %s, want 50 delayed, in 5s", outcomes, took)
		}
		if _, took := hold(t, l, there, 30); took != 0 {
			t.Errorf("another address: got a delay of %s, want none", took)
		}
		<-time.After(3 * time.Second)
		if _, took := hold(t, l, here, 30); took != 0 {
			t.Errorf("after a quiet time: got a delay of %s, want none", took)
		}
	})
}

func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter.New(limiter.Options{Rate: 10, Burst: 1, Longest: 2 * time.Second, Waiting: share.New("refusals", 300)})
		came := make(chan limiter.Outcome, 300)
		var all sync.WaitGroup
		began := time.Now()
		for range 300 {
			all.Go(func() { came <- l.Hold(t.Context(), share.Caller{Address: here}) })
		}
		all.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("got all answers within %s, want 2s", took)
		}
		outcomes := map[limiter.Outcome]int{}
		for range 300 {
			outcomes[<-came]++
		}
		if outcomes[limiter.AtOnce] != 1 || outcomes[limiter.Waited] != 20 || outcomes[limiter.Close] != 279 {
			t.Errorf("got outcomes %v, want 1 at once, 20 delayed and 279 connections closed", outcomes)
		}
		<-time.After(time.Second)
		if _, took := hold(t, l, here, 1); took != 0 {
			t.Errorf("next answer: got a delay of %s, want none: closed connections must not use up turns", took)
		}
	})
}

// When the bound is reached, the address with the most delayed answers has connections closed early.
func TestDelayedAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter.New(limiter.Options{Rate: 1, Burst: 1, Longest: 2 * time.Second, Waiting: share.New("refusals", 20)})
		hold(t, l, there, 1)
		other := make(chan limiter.Outcome, 1)
		go func() { other <- l.Hold(t.Context(), share.Caller{Address: there}) }()
		synctest.Wait()
		began := time.Now()
		var all sync.WaitGroup
		var early atomic.Int32
		for range 100 {
			all.Go(func() {
				if l.Hold(t.Context(), share.Caller{Address: here}) == limiter.Close && time.Since(began) == 0 {
					early.Add(1)
				}
			})
		}
		all.Wait()
		if got := early.Load(); got != 80 { // the other address holds one of the 20 places
			t.Errorf("got %d closed at once, want 80", got)
		}
		if got := <-other; got != limiter.Waited {
			t.Errorf("the other address: got %s, want %s", got, limiter.Waited)
		}
	})
}

func TestDelayEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter.New(limiter.Options{Rate: 1, Burst: 1})
		hold(t, l, here, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		l.Hold(ctx, share.Caller{Address: here})
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("got a delay of %s, want it to end with the context after 100ms", took)
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
		{"two IPv4 addresses", one("192.0.2.1"), one("192.0.2.2"), false},
		{"IPv4 and IPv4-mapped", one("192.0.2.1"), one("::ffff:192.0.2.1"), true},
		{"same /64", one("2001:db8::1"), one("2001:db8::ffff:2"), true},
		{"another /64", one("2001:db8::1"), one("2001:db8:0:1::1"), false},
		{"link-local, two zones", one("fe80::1%eth0"), one("fe80::1%eth1"), true},
		{"unknown address", netip.Addr{}, netip.Addr{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := limiter.New(limiter.Options{Rate: 1, Burst: 1})
				hold(t, l, c.a, 1)
				if _, took := hold(t, l, c.b, 1); (took > 0) != c.shared {
					t.Errorf("second address: got a delay of %s, want a shared bucket: %v", took, c.shared)
				}
			})
		})
	}
}

// The number of tracked addresses is bounded. Further ones share a bucket until tracked ones have been quiet.
func TestManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter.New(limiter.Options{Rate: 1, Burst: 2, Addresses: 100})
		address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }
		for n := range 100 {
			hold(t, l, address(n), 1)
		}
		if _, took := hold(t, l, address(100), 2); took != 0 {
			t.Errorf("first untracked address: got a delay of %s, want none", took)
		}
		if _, took := hold(t, l, address(101), 1); took == 0 {
			t.Error("second untracked address: got no delay, want a bucket shared with the first")
		}
		<-time.After(10 * time.Second)
		for n := range 50 {
			if _, took := hold(t, l, address(200+n), 2); took != 0 {
				t.Fatalf("after a quiet time, new address %d: got a delay of %s, want none", n, took)
			}
		}
	})
}
