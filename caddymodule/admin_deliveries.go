package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

func (a *App) reportDelivery(d *webhook.Delivery) adminapi.Delivery {
	report := adminapi.Delivery{
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
		return http.StatusBadRequest, adminErrorf("limit must be a number from 1 to %d", adminapi.MaxListed)
	}
	wanted := []webhook.State{webhook.Dead, webhook.Pending}
	if state := webhook.State(query.Get("state")); state != "" {
		if !slices.Contains(webhook.States(), state) {
			return http.StatusBadRequest, adminErrorf("there is no state of that name; there are %v", webhook.States())
		}
		wanted = []webhook.State{state}
	}
	list := adminapi.DeliveryList{Deliveries: []adminapi.Delivery{}}
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
	open, held := a.store.Held()
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
	return http.StatusOK, adminapi.Replayed{Replayed: 1}
}

// adminReplayDead delivers every dead letter again, or those of one client.
func (a *App) adminReplayDead(r *http.Request) (int, any) {
	open, held := a.store.Held()
	if !held {
		return http.StatusServiceUnavailable, adminErrorf("the store is not open")
	}
	replayed, err := open.webhooks.ReplayDead(r.Context(), r.URL.Query().Get("client"))
	if err != nil {
		return http.StatusServiceUnavailable, adminErrorf("%d were replayed before the store did not answer: %v", replayed, err)
	}
	return http.StatusOK, adminapi.Replayed{Replayed: replayed}
}
