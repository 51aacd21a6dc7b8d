package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

const (
	maxWebhook   = 64 << 10 // of one webhook, and of the key set
	maxTold      = 100      // remembered webhooks
	keySetAge    = time.Hour
	keySetPause  = 10 * time.Second // between two fetches for webhooks that did not verify
	webhookReply = 10 * time.Second // for all work before the answer
)

// told is one webhook that arrived and was verified. Its token is not kept.
type told struct {
	ID, Type, Status, Reason string
	When                     time.Time
	Times                    int // number of arrivals
}

// inbox holds the webhooks that arrived, latest first, and the keys that verify them.
type inbox struct {
	now func() time.Time

	mu      sync.Mutex // guards all below
	told    []told
	keys    client.WebhookKeys
	fetched time.Time
}

// webhook answers POST /webhook: the server-to-server way back (SIG-3.2). It answers at once and fetches no
// signatures: the returning browser does that.
func (d *Demo) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		http.Error(w, "The body cannot be read, or is too long.", http.StatusBadRequest)
		return
	}
	at, err := d.placeOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusMisdirectedRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhookReply)
	defer cancel()
	event, err := d.inbox.verify(r.Header, body, func() ([]byte, error) { return d.serviceKeys(ctx, at) })
	switch {
	case errors.Is(err, client.ErrWebhook):
		d.log.LogAttrs(ctx, slog.LevelWarn, "the demo refused a webhook", slog.Any("error", err))
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case err != nil: // the service will send it again
		d.log.LogAttrs(ctx, slog.LevelWarn, "the demo cannot verify a webhook", slog.Any("error", err))
		http.Error(w, "The service's keys cannot be fetched at the moment.", http.StatusServiceUnavailable)
	default:
		d.inbox.add(event)
		w.WriteHeader(http.StatusNoContent)
	}
}

// verify verifies a webhook with the cached keys, and once more with fresh ones if that fails.
func (i *inbox) verify(header http.Header, body []byte, fetch func() ([]byte, error)) (*client.WebhookEvent, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fetched := false
	for {
		if i.keys == nil || i.now().Sub(i.fetched) >= keySetAge {
			fetched = true
			set, err := fetch()
			if err != nil {
				return nil, err
			}
			if i.keys, err = client.ParseWebhookKeys(set); err != nil {
				return nil, err
			}
			i.fetched = i.now()
		}
		event, err := client.VerifyWebhook(header, body, i.keys, i.now(), 0)
		if err == nil || fetched || i.now().Sub(i.fetched) < keySetPause {
			return event, err
		}
		i.keys = nil
	}
}

// serviceKeys fetches the service's published key set.
func (d *Demo) serviceKeys(ctx context.Context, at place) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.service+"/jwks.json", http.NoBody)
	if err != nil {
		return nil, err
	}
	caller := d.options.HTTP
	if caller == nil {
		caller = &http.Client{Timeout: exchangeTime}
	}
	response, err := caller.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the service's key set is answered %d", response.StatusCode)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxWebhook))
}

// add adds an event. One with a known id is only counted, because an event can arrive more than once.
func (i *inbox) add(event *client.WebhookEvent) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := range i.told {
		if i.told[n].ID == event.ID {
			i.told[n].Times++
			return
		}
	}
	one := told{ID: event.ID, Type: event.Type, Status: event.Data.Status, When: i.now().UTC(), Times: 1}
	if event.Data.Reason != nil {
		one.Reason = event.Data.Reason.Text
	}
	i.told = slices.Insert(i.told, 0, one)
	i.told = i.told[:min(len(i.told), maxTold)]
}

// all returns the webhooks, latest first.
func (i *inbox) all() []told {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.told)
}

// webhooks answers GET /webhooks: a page with the webhooks that arrived.
func (d *Demo) webhooks(w http.ResponseWriter, _ *http.Request) {
	d.show(w, http.StatusOK, d.pages.webhooks, "Webhooks that arrived", d.inbox.all())
}
