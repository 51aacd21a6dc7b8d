package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/signing"
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

var errNoDelivery = adminErrorf("no webhook has this id: it may have expired, or its client had no webhook when the session was requested")

// adminDeliveries lists the webhooks in one state, by id. Without a state, it lists the dead and the pending ones.
func (a *App) adminDeliveries(r *http.Request) (int, any) {
	query := r.URL.Query()
	limit, ok := limitOf(query.Get("limit"))
	if !ok {
		return http.StatusBadRequest, adminErrorf("limit must be a number from 1 to %d", adminapi.MaxListed)
	}
	wanted := []webhook.State{webhook.Dead, webhook.Pending}
	if state := webhook.State(query.Get("state")); state != "" {
		if !slices.Contains(webhook.States(), state) {
			return http.StatusBadRequest, adminErrorf("unknown state: use one of %v", webhook.States())
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

// adminDelivery returns one webhook.
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

// adminReplay delivers one webhook again, in whatever state it is.
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
		return http.StatusServiceUnavailable, adminErrorf("the store failed after %d were replayed: %v", replayed, err)
	}
	return http.StatusOK, adminapi.Replayed{Replayed: replayed}
}

// adminTrial sends one test event to a receiver, so that its developer sees a signed webhook without a session. The rules
// for outbound requests apply as they do to a client's webhook.
func (a *App) adminTrial(r *http.Request) (int, any) {
	query := r.URL.Query()
	options, err := a.Outbound(a.Environment)
	if err != nil {
		return http.StatusInternalServerError, adminErrorf("%v", err)
	}
	if err := checkWebhook(query.Get("url"), options); err != nil {
		return http.StatusBadRequest, adminErrorf("url: %v", err)
	}
	id, body, err := signing.TrialEvent(query.Get("type"), query.Get("client"), a.now())
	if err != nil {
		return http.StatusBadRequest, adminErrorf("type: %v", err)
	}
	settings := a.webhookSettings()
	trial := adminapi.Trial{ID: id, Type: query.Get("type"), Forged: query.Get("forged") == "true", Body: string(body), KeySets: a.webhookKeySets()}
	if trial.Forged {
		settings.Sign, settings.Secrets = forge(settings.Sign), forgeSecrets(settings.Secrets)
	}
	trial.Attempt = settings.Trial(r.Context(), query.Get("url"), query.Get("client"), id, body, a.now)
	a.logger.LogAttrs(r.Context(), slog.LevelInfo, "test webhook sent", slog.String("delivery", id), slog.String("type", trial.Type),
		slog.Bool("forged", trial.Forged), slog.String("outcome", trial.Attempt.Outcome), slog.Int("status", trial.Attempt.Status))
	return http.StatusOK, trial
}

// webhookKeySets are the URLs where this gateway's services publish the webhook keys.
func (a *App) webhookKeySets() []string {
	sets := []string{}
	for _, site := range a.services {
		if site.PublicURL != "" {
			sets = append(sets, site.PublicURL+"/jwks.json")
		}
	}
	return sets
}

// forge makes invalid signatures.
func forge(sign func(context.Context, []byte) ([]jwks.RingSignature, error)) func(context.Context, []byte) ([]jwks.RingSignature, error) {
	return func(ctx context.Context, content []byte) ([]jwks.RingSignature, error) {
		return sign(ctx, append([]byte("forged "), content...))
	}
}

// forgeSecrets makes secrets under which no signature holds.
func forgeSecrets(all map[string][]webhook.Secret) map[string][]webhook.Secret {
	forged := make(map[string][]webhook.Secret, len(all))
	for client, secrets := range all {
		for _, secret := range secrets {
			forged[client] = append(forged[client], secret.Forging())
		}
	}
	return forged
}
