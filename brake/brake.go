// Package brake slows down callers that are refused again and again, so that they leave the processors to others.
//
// Each address has a bucket of refusals that are answered at once. While it is empty, the answer to a refused request is
// delayed, and with it the connection: a caller that posts garbage as fast as it can is answered Rate times per second.
// Requests that are not refused never wait, even from the same address, because a whole hospital may be behind one
// address.
//
//	refused ──▶ in the bucket ────────────────────▶ answered at once
//	       └──▶ delay within Longest ─────────────▶ waits, answered
//	       └──▶ longer, or too many are waiting ──▶ answered, and the connection is closed
//
// How many wait at one time is bounded. If there are more, those are answered early who have waited longest of the
// address with the most of them, so that many strangers do not loosen the brake for each other.
//
// The package refuses nothing itself, keeps nothing on disk and starts no goroutine.
package brake

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

// Options configures a Brake. Zero values select the defaults.
type Options struct {
	Rate      float64       // sustained refusals per second answered to one address; default 50
	Burst     int           // refusals answered at once; default ten times Rate
	Longest   time.Duration // longest delay of an answer; default 2 seconds
	Addresses int           // addresses tracked at a time; all others share one bucket; default 10,000
	Waiting   *share.Pool   // of answers delayed at a time; default 1,024
}

// Waiting is how many answers are delayed at a time by default.
const Waiting = 1024

// Outcome tells how the answer to a refused request is treated.
type Outcome string

// The outcomes.
const (
	AtOnce Outcome = "at_once"
	Waited Outcome = "waited"
	Close  Outcome = "closed" // close the connection after the answer
)

// Brake delays answers. It is safe for concurrent use.
type Brake struct {
	o Options

	mu        sync.Mutex
	addresses map[netip.Prefix]*rate.Limiter
	others    *rate.Limiter
	swept     time.Time
}

// New returns a Brake.
func New(o Options) *Brake {
	if o.Rate <= 0 {
		o.Rate = 50
	}
	if o.Burst <= 0 {
		o.Burst = max(1, int(10*o.Rate))
	}
	if o.Longest <= 0 {
		o.Longest = 2 * time.Second
	}
	if o.Addresses <= 0 {
		o.Addresses = 10_000
	}
	if o.Waiting == nil {
		o.Waiting = share.New("refusals", Waiting)
	}
	b := &Brake{o: o, addresses: map[netip.Prefix]*rate.Limiter{}}
	b.others = b.bucket()
	return b
}

// Hold is called before a refusal is answered. It returns when the answer may be sent, or when ctx ends.
func (b *Brake) Hold(ctx context.Context, from share.Caller) Outcome {
	delay, outcome := b.turn(from.Address)
	if delay <= 0 {
		return outcome
	}
	early := make(chan struct{})
	place, err := b.o.Waiting.Take(from, 1, func() { close(early) })
	if err != nil {
		return Close
	}
	defer place.Release()
	over := time.NewTimer(delay)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
	case <-early:
		return Close
	}
	return outcome
}

// turn returns how long an answer waits and its outcome. A reservation that is
// too far away is canceled before another one is made, because only the latest can be canceled without loss.
func (b *Brake) turn(from netip.Addr) (time.Duration, Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	turn := b.of(from, now).ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	switch {
	case delay <= 0:
		return 0, AtOnce
	case delay > b.o.Longest:
		turn.CancelAt(now)
		return b.o.Longest, Close
	}
	return delay, Waited
}

// of returns the bucket of an address. The lock is held.
func (b *Brake) of(from netip.Addr, now time.Time) *rate.Limiter {
	who := share.Network(from)
	if !who.IsValid() { // unknown address
		return b.others
	}
	if bucket := b.addresses[who]; bucket != nil {
		return bucket
	}
	if len(b.addresses) >= b.o.Addresses && now.Sub(b.swept) > time.Second {
		b.swept = now
		b.forget(now)
	}
	if len(b.addresses) >= b.o.Addresses {
		return b.others
	}
	bucket := b.bucket()
	b.addresses[who] = bucket
	return bucket
}

// forget drops the buckets that are full again: they equal new ones.
func (b *Brake) forget(now time.Time) {
	for who, bucket := range b.addresses {
		if bucket.TokensAt(now) >= float64(b.o.Burst) {
			delete(b.addresses, who)
		}
	}
}

func (b *Brake) bucket() *rate.Limiter { return rate.NewLimiter(rate.Limit(b.o.Rate), b.o.Burst) }
