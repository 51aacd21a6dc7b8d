package bars_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
)

func TestQuota(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	q := bars.NewQuota(bars.Limits{PerApp: 5, Overall: 4}, func() time.Time { return now })
	take := func(app string, times int) (let int, wait time.Duration) {
		for range times {
			after, ok := q.Take(app)
			if ok {
				let++
			} else {
				wait = after
			}
		}
		return let, wait
	}
	if let, wait := take("a", 6); let != 4 || wait != time.Second {
		t.Errorf("got %d requests in the first second, then a wait of %s", let, wait)
	}
	now = now.Add(time.Second)
	if let, wait := take("a", 3); let != 1 || wait != 59*time.Second {
		t.Errorf("got %d more requests in the first minute, then a wait of %s", let, wait)
	}
	if let, _ := take("b", 5); let != 3 {
		t.Errorf("got %d requests of another app in this second", let)
	}
	now = now.Add(59 * time.Second)
	if let, _ := take("a", 9); let != 4 {
		t.Errorf("got %d requests in the first second of the next minute", let)
	}
	unlimited := bars.NewQuota(bars.Limits{}, nil)
	for range 1000 {
		if _, ok := unlimited.Take("a"); !ok {
			t.Fatal("a request was refused without a limit")
		}
	}
}

// A stranger at one address cannot use up what all addresses may send.
func TestShares(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	q := bars.NewQuota(bars.Limits{PerApp: 1, Overall: 5}, func() time.Time { return now })
	take := func(address string, trusted bool) (let int) {
		for range 10 {
			if _, ok := q.TakeShare(netip.MustParsePrefix(address), trusted); ok {
				let++
			}
		}
		return let
	}
	if a, b, c := take("192.0.2.1/32", false), take("192.0.2.2/32", false), take("192.0.2.3/32", true); a != 3 || b != 2 || c != 0 {
		t.Errorf("got %d, %d and %d requests, want 3, 2 and 0", a, b, c)
	}
	now = now.Add(time.Second)
	if a, c := take("192.0.2.1/32", false), take("192.0.2.3/32", true); a != 3 || c != 2 {
		t.Errorf("the next second: got %d and %d requests, want 3 and 2", a, c)
	}
}
