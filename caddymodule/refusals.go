package caddymodule

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
)

const (
	maxRefusals = 1000 // remembered
	maxEarly    = 100  // of those who asked for signatures before they were made, which is no fault
)

// refusalReport is a refused request as the admin endpoint and the command why tell it. Nothing in it is secret or
// personal.
type refusalReport struct {
	Time          time.Time `json:"time,omitzero"`
	RequestID     string    `json:"requestId"`
	CorrelationID string    `json:"correlationId,omitempty"`
	Endpoint      string    `json:"endpoint,omitempty"` // its path
	Client        string    `json:"client,omitempty"`   // where known
	Target        string    `json:"target,omitempty"`   // of a BaRS request
	Fault         string    `json:"fault,omitempty"`    // the same: sender, proxy, receiver or network
	Status        int       `json:"status"`
	Code          string    `json:"code"`
	Check         string    `json:"check,omitempty"`
	Expected      string    `json:"expected,omitempty"`
	Got           string    `json:"got,omitempty"`
	Answer        string    `json:"answer"` // what the caller was told
	Detail        string    `json:"detail,omitempty"`
}

// refusals remembers the last requests that were refused. It is one for the process.
type refusals struct {
	mu    sync.Mutex
	all   []refusalReport // a ring each: the oldest is overwritten
	next  int
	early []refusalReport
	turn  int
}

// Destruct ends with the process.
func (*refusals) Destruct() error { return nil }

// keep remembers an answer that was a refusal.
func (r *refusals) keep(answer signing.Answer) {
	if answer.Status == 0 {
		return
	}
	report := refusalReport{
		Time: answer.Time.UTC(), RequestID: answer.RequestID, CorrelationID: answer.CorrelationID,
		Endpoint: answer.Endpoint, Client: answer.Client, Status: answer.Status, Code: answer.Code,
		Check: answer.Check, Expected: answer.Expected, Got: answer.Got, Answer: answer.Message, Detail: answer.Detail,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer.Code == "not_opened" || answer.Code == "not_signed" {
		remember(&r.early, &r.turn, maxEarly, report)
	} else {
		remember(&r.all, &r.next, maxRefusals, report)
	}
}

// remember keeps a refusal of another service than the Signing Service.
func (r *refusals) remember(report refusalReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	remember(&r.all, &r.next, maxRefusals, report)
}

func remember(ring *[]refusalReport, next *int, most int, report refusalReport) {
	if len(*ring) < most {
		*ring = append(*ring, report)
		return
	}
	(*ring)[*next] = report
	*next = (*next + 1) % most
}

// latest returns those that fit, the latest first.
func (r *refusals) latest(fits func(refusalReport) bool) []refusalReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := []refusalReport{}
	for _, ring := range [][]refusalReport{r.all, r.early} {
		for _, report := range ring {
			if fits(report) {
				found = append(found, report)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b refusalReport) int { return b.Time.Compare(a.Time) })
	return found
}

// observer is told by the services what happens: it counts, and remembers what was refused.
type observer struct {
	*metrics
	refused *refusals
}

// Answered implements signing.Observer.
func (o observer) Answered(ctx context.Context, answer signing.Answer) {
	o.metrics.Answered(ctx, answer)
	o.refused.keep(answer)
}

// provisionRefusals finds the process's memory of refusals.
func (a *App) provisionRefusals() error {
	_, err := a.refused.acquire("refusals", func() (*refusals, error) { return &refusals{}, nil })
	return err
}

// observer is what this configuration's services tell what happens.
func (a *App) observer() signing.Observer { return observer{a.metrics.value, a.refused.value} }

// oauthObserver is what its token services tell of each answer.
func (a *App) oauthObserver(_ context.Context, answer oauth.Answer) {
	a.metrics.value.tokens.WithLabelValues(answer.Endpoint, answer.Grant, answer.Code).Observe(answer.Took.Seconds())
	if answer.Status == 0 {
		return
	}
	a.refused.value.remember(refusalReport{
		Time: answer.Time.UTC(), RequestID: answer.MessageID, Endpoint: answer.Endpoint, Client: answer.Client,
		Status: answer.Status, Code: answer.Code, Check: answer.Grant, Answer: answer.Message, Detail: answer.Detail,
	})
}
