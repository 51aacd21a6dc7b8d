package bars

import (
	"net/netip"
	"sync"
	"time"
)

// Limits bound the rate of requests. Zero means no limit.
type Limits struct {
	PerApp  int // per application and minute
	Overall int // over all applications, per second
}

// Quota counts requests. A window of a minute or a second begins with the first request in it.
type Quota struct {
	limits Limits
	now    func() time.Time

	mu   sync.Mutex
	all  window
	apps map[string]*window // bounded by the number of applications that hold a token

	shares map[netip.Prefix]int // requests of each address in the present second; bounded by Overall
}

// window is a period in which requests are counted.
type window struct {
	ends  time.Time
	count int
}

// NewQuota makes a Quota. A nil now means time.Now.
func NewQuota(limits Limits, now func() time.Time) *Quota {
	if now == nil {
		now = time.Now
	}
	return &Quota{limits: limits, now: now, apps: map[string]*window{}, shares: map[netip.Prefix]int{}}
}

// Take counts a request of an application, or returns how long it has to wait.
func (q *Quota) Take(app string) (wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	own := q.apps[app]
	if own == nil {
		own = &window{}
		q.apps[app] = own
	}
	if wait, ok := own.fits(now, time.Minute, q.limits.PerApp); !ok {
		return wait, false
	}
	if wait, ok := q.all.fits(now, time.Second, q.limits.Overall); !ok {
		return wait, false
	}
	own.count++
	q.all.count++
	return 0, true
}

// TakeShare counts a request of an address that has proven nothing, or returns how long it has to wait. One address has
// at most half of the overall rate, so that no stranger uses it up alone. A trusted one may stand for many and has no
// share.
func (q *Quota) TakeShare(address netip.Prefix, trusted bool) (wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if !now.Before(q.all.ends) {
		clear(q.shares)
	}
	wait, ok = q.all.fits(now, time.Second, q.limits.Overall)
	if !ok {
		return wait, false
	}
	if q.limits.Overall > 0 && !trusted {
		if q.shares[address] >= (q.limits.Overall+1)/2 {
			return q.all.ends.Sub(now), false
		}
		q.shares[address]++
	}
	q.all.count++
	return 0, true
}

// fits reports whether one more request fits into the window, and starts a new window when the old one is over.
func (w *window) fits(now time.Time, length time.Duration, limit int) (wait time.Duration, ok bool) {
	if !now.Before(w.ends) {
		w.ends, w.count = now.Add(length), 0
	}
	if limit > 0 && w.count >= limit {
		return w.ends.Sub(now), false
	}
	return 0, true
}
