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

// Webhooks says how clients' webhooks are delivered: at least once, with longer and longer waits between attempts, until
// the receiver takes them or they are given up and become dead letters.
type Webhooks struct {
	Timeout     caddy.Duration `json:"timeout,omitempty"`      // of one attempt; default 15s, at most 5m
	FirstWait   caddy.Duration `json:"first_wait,omitempty"`   // after the first failed attempt, doubled with each; default 1s
	LongestWait caddy.Duration `json:"longest_wait,omitempty"` // between two attempts; default 15m
	GiveUp      caddy.Duration `json:"give_up,omitempty"`      // from the event to the last attempt; default 72h
	KeepDead    caddy.Duration `json:"keep_dead,omitempty"`    // how long a dead letter can be replayed; default 30d
	Poll        caddy.Duration `json:"poll,omitempty"`         // how often the store is asked for what other nodes have queued; default 5s
	Concurrency int            `json:"concurrency,omitempty"`  // attempts at one time to one client; default 8
}

// webhookSecretName is where the secret is kept that seals tokens in the outbox.
const webhookSecretName = "countersign/keys/webhooks"

// check says what cannot be meant.
func (w *Webhooks) check() error {
	if err := CheckLimits(
		Limit{"webhooks: timeout", w.Timeout, 5 * time.Minute, "a receiver answers first and works afterwards"},
		Limit{"webhooks: first wait of backoff", w.FirstWait, 24 * time.Hour, "a client hears of its signature by asking long before"},
		Limit{"webhooks: longest wait of backoff", w.LongestWait, 24 * time.Hour, "a receiver that is back would not be noticed for a day"},
		Limit{"webhooks: give_up", w.GiveUp, 30 * 24 * time.Hour, "what is told was kept no longer"},
		Limit{"webhooks: keep_dead", w.KeepDead, 365 * 24 * time.Hour, "a dead letter holds a session's token"},
		Limit{"webhooks: poll", w.Poll, time.Hour, "what another node has left would wait so long"},
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
		return fmt.Errorf("countersign: webhooks: give_up %s is shorter than the first wait of backoff, %s, so nothing would be tried twice", giveUp, first)
	}
	return nil
}

// provisionWebhooks holds clients' webhooks to the rules for outgoing requests. It sends nothing.
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
		return fmt.Errorf("%q may have no fragment", address)
	}
	return options.CheckURL(u)
}

// webhooks is what services queue webhooks with.
func (a *App) webhooks() signing.Webhooks {
	return signing.Webhooks{Seal: a.sealed.Bytes, Queued: func(client string) {
		if open, held := a.store.Held(); held {
			open.webhooks.Wake(client)
		}
	}}
}

// webhookSettings are what the dispatcher goes by while this configuration is the present one.
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

// dropWebhooks takes this configuration's settings away from the dispatcher, if it has given it any.
func (a *App) dropWebhooks() {
	if open, held := a.store.Held(); held {
		open.webhooks.Drop(a)
	}
	if a.callHTTP != nil {
		a.callHTTP.CloseIdleConnections()
	}
}

// webhookStats are how many deliveries stand, of every client that has a webhook or had one.
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
