package signing

import (
	"testing"
	"time"
)

// What time alone changes (package documentation).
func TestSettle(t *testing.T) {
	began := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	at := func(minutes float64) time.Time { return began.Add(time.Duration(minutes * float64(time.Minute))) }
	for _, c := range []struct {
		name   string
		state  State
		tries  int
		now    time.Time
		want   State
		reason string
	}{
		{"created", StateCreated, 0, at(29.99), StateCreated, ""},
		{"created, at the deadline", StateCreated, 0, at(30), StateExpired, reasonExpired},
		{"opened", StateOpened, 1, at(29.99), StateOpened, ""},
		{"opened, at the deadline", StateOpened, 1, at(30), StateExpired, reasonExpired},
		{"signing under its lease", StateSigning, 1, at(9.99), StateSigning, ""},
		{"signing, at the end of its lease", StateSigning, 1, at(10), StateOpened, reasonInterrupted},
		{"signing, its last try", StateSigning, 5, at(10), StateOpened, reasonInterrupted},
		{"signing, lease and deadline gone", StateSigning, 1, at(31), StateExpired, reasonExpired},
		{"signed", StateSigned, 1, at(59), StateSigned, ""},
		{"failed", StateFailed, 1, at(59), StateFailed, ""},
		{"cancelled", StateCancelled, 1, at(59), StateCancelled, ""},
	} {
		s := session{State: c.state, Tries: c.tries, Deadline: at(30), Lease: at(10), Gone: at(91), Job: "j", Marks: "ss"}
		s.settle(c.now, 5)
		if s.State != c.want || s.Reason != c.reason {
			t.Errorf("%s: it is %s, %q", c.name, s.State, s.Reason)
		}
		if c.state == StateSigning && c.want != StateSigning && (s.Job != "" || s.Marks != "" || !s.Lease.IsZero()) {
			t.Errorf("%s: it still holds %+v", c.name, s)
		}
	}
}

func TestVanished(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		s    session
		want bool
	}{
		"no end yet":      {session{}, false},
		"before":          {session{Until: now.Add(1)}, false},
		"at its end":      {session{Until: now}, true},
		"fetched, once":   {session{Until: now.Add(time.Hour), Fetched: true}, true},
		"fetched, no end": {session{Fetched: true}, true},
	} {
		if c.s.vanished(now) != c.want {
			t.Errorf("%s: it is not %v", name, c.want)
		}
	}
}

func TestEndLastsNoLongerThanTheRecords(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	s := session{Gone: now.Add(time.Minute), Lease: now, Job: "j", Marks: ".s"}
	s.end(StateFailed, reasonSignature, now.Add(time.Hour))
	if s.Until != s.Gone || s.Marks != "" || s.Job != "" || !s.Lease.IsZero() {
		t.Errorf("it ended as %+v", s)
	}
}
