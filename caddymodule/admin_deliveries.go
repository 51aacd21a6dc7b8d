package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

// deliveryList is the answer of /countersign/deliveries.
type deliveryList struct {
	Deliveries []deliveryReport `json:"deliveries"`
	Next       string           `json:"next,omitempty"` // after= of the next answer; empty: there are no more
}

// deliveryReport is what an operator may see of a webhook: neither its token nor the client's state.
type deliveryReport struct {
	ID       string           `json:"id"` // the session's
	Client   string           `json:"client"`
	State    webhook.State    `json:"state"`
	Type     string           `json:"type,omitempty"`
	At       time.Time        `json:"at"`             // when it happened; while waiting: when time runs out
	Since    time.Time        `json:"since,omitzero"` // since when it is being delivered
	Attempts int              `json:"attempts"`       // all of them
	Failures int              `json:"failures"`       // in a row
	Last     *webhook.Attempt `json:"last,omitempty"` // attempt
	Next     time.Time        `json:"next,omitzero"`  // attempt, or while waiting: when the clock is looked at
	Ended    time.Time        `json:"ended,omitzero"` // when it was delivered, or became a dead letter
	Why      string           `json:"why,omitempty"`  // it is a dead letter
	Until    time.Time        `json:"until,omitzero"` // kept until then, once it has ended
	Address  string           `json:"address"`        // where it goes at present, without its query; empty: nowhere
}

func (a *App) reportDelivery(d *webhook.Delivery) deliveryReport {
	report := deliveryReport{
		ID: d.ID, Client: d.Client, State: d.State, Type: d.Type, At: d.At.UTC(), Since: d.Since, Attempts: d.Attempts, Failures: d.Failures,
		Last: d.Last, Ended: d.Ended, Why: d.Why,
	}
	switch d.State {
	case webhook.Waiting, webhook.Pending:
		report.Next = d.Next()
	case webhook.Delivered:
		report.Until = d.Kept
	case webhook.Dead:
		report.Until = d.Expires()
	}
	if client, known := a.approved[d.Client]; known {
		report.Address, _, _ = strings.Cut(client.Webhook, "?")
	}
	return report
}

var errNoDelivery = adminErrorf("there is no webhook with this id; its time may be over, or its client had none when the request came")

// adminDeliveries lists webhooks in one state, by their ids. Without a state: the dead and the pending ones.
func (a *App) adminDeliveries(r *http.Request) (int, any) {
	query := r.URL.Query()
	limit, ok := limitOf(query.Get("limit"))
	if !ok {
		return http.StatusBadRequest, adminErrorf("limit must be a number from 1 to %d", maxListed)
	}
	wanted := []webhook.State{webhook.Dead, webhook.Pending}
	if state := webhook.State(query.Get("state")); state != "" {
		if !slices.Contains(webhook.States(), state) {
			return http.StatusBadRequest, adminErrorf("there is no state of that name; there are %v", webhook.States())
		}
		wanted = []webhook.State{state}
	}
	list := deliveryList{Deliveries: []deliveryReport{}}
	if !a.needed {
		return http.StatusOK, list
	}
	first, after, _ := strings.Cut(query.Get("after"), "/")
	if i := slices.Index(wanted, webhook.State(first)); i > 0 {
		wanted = wanted[i:]
	}
	scanned := 0
	for _, state := range wanted {
		for {
			found, more, err := webhook.List(r.Context(), lazyStore{a}, state, after, scanPage)
			if err != nil {
				return http.StatusServiceUnavailable, adminErrorf("the store does not answer: %v", err)
			}
			for _, delivery := range found {
				if client := query.Get("client"); client != "" && delivery.Client != client {
					continue
				}
				if len(list.Deliveries) == limit {
					last := list.Deliveries[limit-1]
					list.Next = string(last.State) + "/" + last.ID
					return http.StatusOK, list
				}
				list.Deliveries = append(list.Deliveries, a.reportDelivery(delivery))
			}
			if after = more; more == "" {
				break
			}
			if scanned += scanPage; scanned >= maxScanned {
				list.Next = string(state) + "/" + more
				return http.StatusOK, list
			}
		}
	}
	return http.StatusOK, list
}

// adminDelivery tells of one webhook.
func (a *App) adminDelivery(r *http.Request) (int, any) {
	if !a.needed {
		return http.StatusNotFound, adminErrorf("this gateway keeps no sessions")
	}
	found, err := webhook.Find(r.Context(), lazyStore{a}, r.PathValue("id"))
	switch {
	case err != nil:
		return http.StatusServiceUnavailable, adminErrorf("the store does not answer: %v", err)
	case found == nil:
		return http.StatusNotFound, errNoDelivery
	}
	return http.StatusOK, a.reportDelivery(found)
}

// adminReplay delivers one webhook again, whatever has become of it.
func (a *App) adminReplay(r *http.Request) (int, any) {
	open, held := a.store.held()
	if !held {
		return http.StatusServiceUnavailable, adminErrorf("the store is not open")
	}
	replayed, err := open.webhooks.Replay(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, webhook.ErrNothingToReplay):
		return http.StatusConflict, adminErrorf("%v", err)
	case err != nil:
		return http.StatusServiceUnavailable, adminErrorf("the store does not answer: %v", err)
	case replayed == nil:
		return http.StatusNotFound, errNoDelivery
	}
	return http.StatusOK, replayAnswer{1}
}

// adminReplayDead delivers every dead letter again, or those of one client.
func (a *App) adminReplayDead(r *http.Request) (int, any) {
	open, held := a.store.held()
	if !held {
		return http.StatusServiceUnavailable, adminErrorf("the store is not open")
	}
	replayed, err := open.webhooks.ReplayDead(r.Context(), r.URL.Query().Get("client"))
	if err != nil {
		return http.StatusServiceUnavailable, adminErrorf("%d were replayed before the store did not answer: %v", replayed, err)
	}
	return http.StatusOK, replayAnswer{replayed}
}

// replayAnswer says how many webhooks are due again.
type replayAnswer struct {
	Replayed int `json:"replayed"`
}

func (r replayAnswer) String() string {
	switch r.Replayed {
	case 0:
		return "There was nothing to replay."
	case 1:
		return "1 webhook is due again, with the same id."
	}
	return fmt.Sprintf("%d webhooks are due again, with the same ids.", r.Replayed)
}
