// Package limiter slows down callers that are refused again and again, so that they do not starve the others of CPU.
//
// Each address has a bucket of refusals that are answered at once. While the bucket is empty, each refusal is delayed and
// holds its connection: a caller that posts garbage as fast as it can gets Rate answers per second. Requests that are not
// refused never wait, even from the same address, because a whole hospital may share one address.
//
//	refused ──▶ bucket not empty ───────────────────▶ answered at once
//	       └──▶ delay up to Longest ────────────────▶ delayed, then answered
//	       └──▶ longer, or too many are waiting ────▶ answered, and the connection is closed
//
// The number of delayed answers is bounded. Beyond the bound, the address with the most of them gets its oldest answered
// early and that connection closed, so that many strangers cannot shorten each other's delays.
//
// The package refuses nothing itself, keeps nothing on disk and starts no goroutine.
package limiter

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

// Options configures a Limiter. A zero value selects the default.
type Options struct {
	Rate      float64       // sustained refusals per second answered to one address; default 50
	Burst     int           // size of the bucket; default ten times Rate
	Longest   time.Duration // longest delay of an answer; default 2 seconds
	Addresses int           // addresses tracked at a time; the rest share one bucket; default 10,000
	Waiting   *share.Pool   // bounds the answers delayed at a time; default 1,024
}

// Waiting is the default number of answers delayed at a time.
const Waiting = 1024

// Outcome says how the answer to a refused request is treated.
type Outcome string

// The outcomes.
const (
	AtOnce Outcome = "at_once"
	Waited Outcome = "waited"
	Close  Outcome = "closed" // close the connection after the answer
)

// Limiter delays answers. It is safe for concurrent use.
type Limiter struct {
	o Options

	mu        sync.Mutex
	addresses map[netip.Prefix]*rate.Limiter
	others    *rate.Limiter
	swept     time.Time
}

// New returns a Limiter.
func New(o Options) *Limiter {
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
	l := &Limiter{o: o, addresses: map[netip.Prefix]*rate.Limiter{}}
	l.others = l.bucket()
	return l
}

// Hold is called before a refusal is answered. It returns when the answer may be sent, or when ctx ends.
func (l *Limiter) Hold(ctx context.Context, from share.Caller) Outcome {
	delay, outcome := l.turn(from.Address)
	if delay <= 0 {
		return outcome
	}
	early := make(chan struct{})
	place, err := l.o.Waiting.Take(from, 1, func() { close(early) })
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

// turn returns an answer's delay and outcome. A reservation too far in the future is cancelled before the next one is
// made, because only the latest can be cancelled without loss.
func (l *Limiter) turn(from netip.Addr) (time.Duration, Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	turn := l.of(from, now).ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	switch {
	case delay <= 0:
		return 0, AtOnce
	case delay > l.o.Longest:
		turn.CancelAt(now)
		return l.o.Longest, Close
	}
	return delay, Waited
}

// of returns the bucket of an address. The lock is held.
func (l *Limiter) of(from netip.Addr, now time.Time) *rate.Limiter {
	who := share.Network(from)
	if !who.IsValid() { // unknown address
		return l.others
	}
	if bucket := l.addresses[who]; bucket != nil {
		return bucket
	}
	if len(l.addresses) >= l.o.Addresses && now.Sub(l.swept) > time.Second {
		l.swept = now
		l.forget(now)
	}
	if len(l.addresses) >= l.o.Addresses {
		return l.others
	}
	bucket := l.bucket()
	l.addresses[who] = bucket
	return bucket
}

// forget drops the buckets that are full again, because they equal new ones.
func (l *Limiter) forget(now time.Time) {
	for who, bucket := range l.addresses {
		if bucket.TokensAt(now) >= float64(l.o.Burst) {
			delete(l.addresses, who)
		}
	}
}

func (l *Limiter) bucket() *rate.Limiter { return rate.NewLimiter(rate.Limit(l.o.Rate), l.o.Burst) }
