package caddymodule

import (
	"context"
	"slices"
	"sync"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
)

// maxEarly bounds the record of requests for signatures that were not ready, which are no fault of the client. All other
// refusals are bounded by adminapi.MaxRefusals.
const maxEarly = 100

// refusals records the latest refused requests of the process.
type refusals struct {
	mu    sync.Mutex
	all   []adminapi.Refusal // ring buffers
	next  int
	early []adminapi.Refusal
	turn  int
}

// Destruct does nothing: the record lives as long as the process.
func (*refusals) Destruct() error { return nil }

// keep records an answer that refused a request.
func (r *refusals) keep(answer signing.Answer) {
	if answer.Status == 0 {
		return
	}
	report := adminapi.Refusal{
		Time: answer.Time.UTC(), RequestID: answer.RequestID, CorrelationID: answer.CorrelationID,
		Endpoint: answer.Endpoint, Client: answer.Client, Status: answer.Status, Code: answer.Code,
		Check: answer.Check, Expected: answer.Expected, Got: answer.Got, Answer: answer.Message, Detail: answer.Detail,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer.Code == "not_opened" || answer.Code == "not_signed" {
		remember(&r.early, &r.turn, maxEarly, report)
	} else {
		remember(&r.all, &r.next, adminapi.MaxRefusals, report)
	}
}

// remember records a refusal of a service other than the Signing Service.
func (r *refusals) remember(report adminapi.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	remember(&r.all, &r.next, adminapi.MaxRefusals, report)
}

func remember(ring *[]adminapi.Refusal, next *int, most int, report adminapi.Refusal) {
	if len(*ring) < most {
		*ring = append(*ring, report)
		return
	}
	(*ring)[*next] = report
	*next = (*next + 1) % most
}

// latest returns the matching refusals, newest first.
func (r *refusals) latest(fits func(adminapi.Refusal) bool) []adminapi.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := []adminapi.Refusal{}
	for _, ring := range [][]adminapi.Refusal{r.all, r.early} {
		for _, report := range ring {
			if fits(report) {
				found = append(found, report)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b adminapi.Refusal) int { return b.Time.Compare(a.Time) })
	return found
}

// observer counts the answers of the services and records their refusals.
type observer struct {
	*metrics.Metrics
	refused *refusals
}

// Answered implements signing.Observer.
func (o observer) Answered(ctx context.Context, answer signing.Answer) {
	o.Metrics.Answered(ctx, answer)
	o.refused.keep(answer)
}

// provisionRefusals finds the process's record of refusals.
func (a *App) provisionRefusals() error {
	_, err := a.refused.Acquire("refusals", func() (*refusals, error) { return &refusals{}, nil })
	return err
}

// Remember records a request that a handler refused, for the admin endpoint and the command why.
func (a *App) Remember(refused adminapi.Refusal) { a.refused.Value().remember(refused) }

// observer returns the observer for this configuration's services.
func (a *App) observer() signing.Observer { return observer{a.metrics.Value(), a.refused.Value()} }

// oauthObserver returns the observer for its token services.
func (a *App) oauthObserver(_ context.Context, answer oauth.Answer) {
	a.metrics.Value().TokenAnswered(answer)
	if answer.Status == 0 {
		return
	}
	a.Remember(adminapi.Refusal{
		Time: answer.Time.UTC(), RequestID: answer.MessageID, Endpoint: answer.Endpoint, Client: answer.Client,
		Status: answer.Status, Code: answer.Code, Check: answer.Grant, Answer: answer.Message, Detail: answer.Detail,
	})
}
