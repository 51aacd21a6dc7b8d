package caddymodule

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/outbound"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

// Webhooks configures the delivery of clients' webhooks: at least once, with growing waits between attempts, until the
// receiver accepts a webhook or it is given up and becomes a dead letter.
type Webhooks struct {
	Timeout     caddy.Duration `json:"timeout,omitempty"`      // of one attempt; default 15s, at most 5m
	FirstWait   caddy.Duration `json:"first_wait,omitempty"`   // after the first failed attempt, doubled with each; default 1s
	LongestWait caddy.Duration `json:"longest_wait,omitempty"` // between two attempts; default 15m
	GiveUp      caddy.Duration `json:"give_up,omitempty"`      // from the event to the last attempt; default 72h
	KeepDead    caddy.Duration `json:"keep_dead,omitempty"`    // how long a dead letter can be replayed; default 30d
	Poll        caddy.Duration `json:"poll,omitempty"`         // how often the store is polled for deliveries queued by other nodes; default 5s
	Concurrency int            `json:"concurrency,omitempty"`  // concurrent attempts per client; default 8
}

// webhookSecretName is the storage name of the secret that seals tokens in the outbox.
const webhookSecretName = "countersign/keys/webhooks"

// check refuses durations and counts out of range.
func (w *Webhooks) check() error {
	if err := CheckLimits(
		Limit{"webhooks: timeout", w.Timeout, 5 * time.Minute, "a receiver must answer before it does its work"},
		Limit{"webhooks: first wait of backoff", w.FirstWait, 24 * time.Hour, "a client that polls learns of its signature much earlier"},
		Limit{"webhooks: longest wait of backoff", w.LongestWait, 24 * time.Hour, "a recovered receiver would wait for a day or longer"},
		Limit{"webhooks: give_up", w.GiveUp, 30 * 24 * time.Hour, "the session it reports is gone by then"},
		Limit{"webhooks: keep_dead", w.KeepDead, 365 * 24 * time.Hour, "a dead letter holds a session's token"},
		Limit{"webhooks: poll", w.Poll, time.Hour, "deliveries left by another node would wait that long"},
	); err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	if err := CheckCount("webhooks: concurrency", int64(w.Concurrency), 1000); err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	first, longest, giveUp := time.Duration(w.FirstWait), cmp.Or(time.Duration(w.LongestWait), webhook.DefaultLongestWait), cmp.Or(time.Duration(w.GiveUp), webhook.DefaultGiveUp)
	switch {
	case longest < first:
		return fmt.Errorf("countersign: webhooks: the longest wait of backoff, %s, is shorter than the first, %s", longest, first)
	case giveUp < first:
		return fmt.Errorf("countersign: webhooks: give_up %s is shorter than the first wait of backoff, %s, so nothing would be retried", giveUp, first)
	}
	return nil
}

// provisionWebhooks checks clients' webhooks against the rules for outbound requests. It sends nothing.
func (a *App) provisionWebhooks() error {
	if err := a.Webhooks.check(); err != nil {
		return err
	}
	options, err := a.Outbound(a.Environment)
	if err != nil {
		return err
	}
	options.Timeout = time.Duration(a.Webhooks.Timeout)
	if options.Timeout == 0 {
		options.Timeout = 15 * time.Second
	}
	for id, client := range a.Clients {
		if client.Webhook == "" {
			continue
		}
		if err := checkWebhook(client.Webhook, options); err != nil {
			return fmt.Errorf("client %s: webhook: %w", id, err)
		}
	}
	if err := a.readWebhookSecrets(); err != nil {
		return err
	}
	a.callHTTP = outbound.New(options)
	a.sealed = jwks.NewSecret(a.vault, webhookSecretName, nil)
	return nil
}

// readWebhookSecrets reads the secrets that receivers share.
func (a *App) readWebhookSecrets() error {
	a.hookSecrets = map[string][]webhook.Secret{}
	for id, client := range a.Clients {
		for _, text := range client.WebhookSecrets {
			plain, err := secretOf(text)
			if err != nil {
				return fmt.Errorf("client %s: webhook: secret: %w", id, err)
			}
			secret, err := webhook.ParseSecret(plain)
			if err != nil {
				return fmt.Errorf("client %s: webhook: %w", id, err)
			}
			a.hookSecrets[id] = append(a.hookSecrets[id], secret)
		}
	}
	return nil
}

func checkWebhook(address string, options outbound.Options) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is not an absolute URL", address)
	}
	if u.Fragment != "" {
		return fmt.Errorf("%q must not have a fragment", address)
	}
	return options.CheckURL(u)
}

// webhooks returns the queue that services use to send webhooks.
func (a *App) webhooks() signing.Webhooks {
	return signing.Webhooks{Seal: a.sealed.Bytes, Queued: func(client string) {
		if open, held := a.store.Held(); held {
			open.webhooks.Wake(client)
		}
	}}
}

// webhookSettings returns the dispatcher's settings while this configuration is current.
func (a *App) webhookSettings() webhook.Settings {
	addresses := map[string]string{}
	for id, client := range a.approved {
		if client.Webhook != "" {
			addresses[id] = client.Webhook
		}
	}
	w := a.Webhooks
	return webhook.Settings{
		Addresses: addresses, Secrets: a.hookSecrets, HTTP: a.callHTTP, Sign: a.ring.SignAll,
		Source: signing.NewOutbox(lazyStore{a}, a.webhooks(), a.now), Delivered: a.handOutside,
		Timeout: time.Duration(w.Timeout), FirstWait: time.Duration(w.FirstWait), LongestWait: time.Duration(w.LongestWait),
		GiveUp: time.Duration(w.GiveUp), KeepDead: time.Duration(w.KeepDead), Poll: time.Duration(w.Poll), PerClient: w.Concurrency,
		UserAgent: "Countersign/" + Version().Version, Logger: a.logger,
	}
}

// dropWebhooks withdraws this configuration's settings from the dispatcher.
func (a *App) dropWebhooks() {
	if open, held := a.store.Held(); held {
		open.webhooks.Drop(a)
	}
	if a.callHTTP != nil {
		a.callHTTP.CloseIdleConnections()
	}
}

// webhookStats counts the open deliveries of every client that has or had a webhook.
func (a *App) webhookStats() webhook.Stats {
	stats := webhook.Stats{}
	if open, held := a.store.Held(); held {
		for client, of := range open.webhooks.Stats() {
			stats[client] = of
		}
	}
	for id, client := range a.approved {
		if _, counted := stats[id]; client.Webhook != "" && !counted {
			stats[id] = webhook.ClientStats{}
		}
	}
	return stats
}
