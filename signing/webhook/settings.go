package webhook

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// Defaults of Settings.
const (
	DefaultLongestWait = 15 * time.Minute
	DefaultGiveUp      = 72 * time.Hour
)

// Settings are what the present configuration says. A delivery goes by those that hold when it is attempted, so a
// changed address or a changed wait holds for what is queued already.
type Settings struct {
	// Addresses are the clients' webhooks. What is queued for a client without one becomes a dead letter.
	Addresses map[string]string
	// Secrets are those that clients' receivers share, by client: each adds a signature v1. Two are for a change.
	Secrets map[string][]Secret
	// HTTP sends. It must follow no redirect of a POST: one of package outbound.
	HTTP *http.Client
	// Sign signs with the gateway's keys, the one that signs now first. jwks.Ring's SignAll is one.
	Sign func(ctx context.Context, content []byte) ([]jwks.RingSignature, error)
	// Source makes the bodies.
	Source Source
	// Delivered is told of each event that its receiver has taken; nil: nobody is. It must not block, and is not told of
	// one whose taking a crash kept from being known.
	Delivered func(*Delivery)

	Timeout     time.Duration // of one attempt, from lookup to answer; default 15 seconds
	FirstWait   time.Duration // after the first failed attempt; it doubles with each; default 1 second
	LongestWait time.Duration // between two attempts; default 15 minutes
	GiveUp      time.Duration // from the event to the last attempt; default 72 hours
	KeepDead    time.Duration // how long a dead letter can be replayed; default 30 days
	Poll        time.Duration // how often the store is asked for what other nodes queued; default 5 seconds
	PerClient   int           // attempts at one time to one client; default 8. One that fails gets one at a time
	Total       int           // attempts at one time; default 256
	UserAgent   string        // default Countersign
	Logger      *slog.Logger  // default: nothing is logged
}

// Source knows what there is to tell.
type Source interface {
	// Ripen is asked about a delivery that waits and whose time has come. It commits what became of it, held to
	// Delivery.Check: a Tell in its place, or an Announce with a later time.
	Ripen(ctx context.Context, d *Delivery) error
	// Body makes an event's body. It is the same for every attempt.
	Body(ctx context.Context, d *Delivery) ([]byte, error)
}

// maxRetryAfter bounds what a receiver can ask for.
const maxRetryAfter = time.Hour

// complete returns the settings with their defaults.
func (s Settings) complete() *Settings {
	s.Timeout = cmp.Or(s.Timeout, 15*time.Second)
	s.FirstWait = cmp.Or(s.FirstWait, time.Second)
	s.LongestWait = max(cmp.Or(s.LongestWait, DefaultLongestWait), s.FirstWait)
	s.GiveUp = cmp.Or(s.GiveUp, DefaultGiveUp)
	s.KeepDead = cmp.Or(s.KeepDead, 30*24*time.Hour)
	s.Poll = cmp.Or(s.Poll, 5*time.Second)
	s.PerClient = cmp.Or(s.PerClient, 8)
	s.Total = cmp.Or(s.Total, 256)
	s.UserAgent = cmp.Or(s.UserAgent, "Countersign")
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Delivered == nil {
		s.Delivered = func(*Delivery) {}
	}
	return &s
}

// lease is how long a claimed delivery stays with who claimed it. An attempt and the commit of its outcome fit in, with
// time to spare.
func (s *Settings) lease() time.Duration { return s.Timeout + settleWithin + 5*time.Second }

// wait is how long to wait after so many failures in a row. Each wait is shortened by up to a quarter, as random (0 to
// 1) has it, so that what failed together does not come back together.
func (s *Settings) wait(failures int, random float64) time.Duration {
	wait := s.FirstWait
	for n := 1; n < failures && wait < s.LongestWait; n++ {
		wait *= 2
	}
	wait = min(wait, s.LongestWait)
	return wait - time.Duration(random*float64(wait)/4)
}

// conclude is what an attempt that ended now makes of a delivery.
func (s *Settings) conclude(d *Delivery, a Attempt, retryAfter time.Duration, now time.Time, random float64) {
	d.Attempts++
	d.Last = &a
	switch a.Outcome {
	case OutcomeDelivered:
		d.State, d.Failures, d.Ended, d.Why = Delivered, 0, now, ""
		if soonest := now.Add(time.Hour); d.Kept.Before(soonest) {
			d.Kept = soonest
		}
		return
	case OutcomeGone:
		s.bury(d, "the receiver answered 410 Gone", now)
		return
	}
	d.Failures++
	end := d.Since.Add(s.GiveUp)
	if !now.Before(end) {
		s.bury(d, "given up after "+s.GiveUp.String(), now)
		return
	}
	d.due = now.Add(max(s.wait(d.Failures, random), min(retryAfter, maxRetryAfter)))
	if d.due.After(end) {
		d.due = end // the last attempt
	}
}

// bury makes a delivery a dead letter.
func (s *Settings) bury(d *Delivery, why string, now time.Time) {
	d.State, d.Why, d.Ended, d.expires = Dead, why, now, now.Add(s.KeepDead)
}

// retryAfter reads a Retry-After header, in seconds or as a date; zero: none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}
