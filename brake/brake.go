// Package brake slows down whoever is refused again and again, so that they leave the processors to others.
//
// Each address has a bucket of refusals that are answered at once. While it is empty the answer to a refused request
// waits for its turn, and with it the connection that it came by: who posts garbage as fast as they can is answered
// Rate times a second. What is not refused never waits, even if it comes from the same address: behind one address may
// be a whole hospital.
//
//	refused ──▶ in the bucket ──────────────▶ answered at once
//	       └──▶ its turn within Longest ────▶ waits, answered
//	       └──▶ later, or too many wait ────▶ answered, and the connection is closed
//
// It never refuses anything by itself, keeps nothing on disk, and starts no goroutine.
package brake

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Options of a Brake. Zero values mean the defaults.
type Options struct {
	Rate      float64       // refusals a second that an address is answered in the long run; default 50
	Burst     int           // refusals that are answered at once; default ten times Rate
	Longest   time.Duration // that an answer waits; default 2 seconds
	Addresses int           // that are told apart at one time, all others share one bucket; default 10,000
	Waiting   int           // answers that wait at one time, at most; default 1,024
}

// Outcome is what became of the answer to a refused request.
type Outcome string

// The outcomes.
const (
	AtOnce Outcome = "at_once"
	Waited Outcome = "waited"
	Close  Outcome = "closed" // the connection is not worth keeping
)

// A Brake holds answers back. It is safe for concurrent use.
type Brake struct {
	o Options

	mu        sync.Mutex
	waiting   int
	addresses map[netip.Prefix]*rate.Limiter
	others    *rate.Limiter
	swept     time.Time
}

// New makes a Brake.
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
	if o.Waiting <= 0 {
		o.Waiting = 1024
	}
	b := &Brake{o: o, addresses: map[netip.Prefix]*rate.Limiter{}}
	b.others = b.bucket()
	return b
}

// Hold is called before a refusal is answered. It returns when that is to be done, or when the caller has gone.
func (b *Brake) Hold(ctx context.Context, from netip.Addr) Outcome {
	delay, outcome := b.turn(from)
	if delay <= 0 {
		return outcome
	}
	defer b.leave()
	over := time.NewTimer(delay)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
	}
	return outcome
}

// turn says how long an answer waits, and what then becomes of it. Who waits leaves afterwards. A turn that is too far
// away is given back before anybody takes the next one: only the last that was taken can be given back whole.
func (b *Brake) turn(from netip.Addr) (time.Duration, Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	turn := b.of(from, now).ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	switch {
	case delay <= 0:
		return 0, AtOnce
	case b.waiting >= b.o.Waiting:
		turn.CancelAt(now)
		return 0, Close
	case delay > b.o.Longest:
		turn.CancelAt(now)
		b.waiting++
		return b.o.Longest, Close
	}
	b.waiting++
	return delay, Waited
}

func (b *Brake) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting--
}

// of is the bucket of an address. Whoever has one IPv6 address has all of its /64. The lock is held.
func (b *Brake) of(from netip.Addr, now time.Time) *rate.Limiter {
	from = from.Unmap().WithZone("")
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	who, err := from.Prefix(bits)
	if err != nil { // nobody knows from where
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

// forget drops the buckets that are full again: a new one is the same.
func (b *Brake) forget(now time.Time) {
	for who, bucket := range b.addresses {
		if bucket.TokensAt(now) >= float64(b.o.Burst) {
			delete(b.addresses, who)
		}
	}
}

func (b *Brake) bucket() *rate.Limiter { return rate.NewLimiter(rate.Limit(b.o.Rate), b.o.Burst) }
