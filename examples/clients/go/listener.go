package main

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

// listener is where the browser comes back to and the webhook goes.
type listener struct {
	state string
	news  chan struct{} // something has happened
	jwks  string        // address of the service's keys

	mu       sync.Mutex
	awaited  string // the request's token
	keys     client.WebhookKeys
	seen     map[string]bool // ids of webhooks: keep them for three days
	accepted http.ServeMux
}

// [callback] The browser's return and the webhook are hints. Trust only what you fetch.
func (l *listener) comesBack(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	l.mu.Lock()
	mine := query.Get("token") == l.awaited
	l.mu.Unlock()
	if !mine || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(l.state)) != 1 {
		http.Error(w, "This is not a return that was waited for.", http.StatusBadRequest)
		return
	}
	what := query.Get("error")
	if what == "" {
		what = "ok"
	}
	l.tell("callback " + what)
	fmt.Fprintln(w, "Thank you. You may close this window.")
}

func (l *listener) tell(what string) {
	fmt.Fprintln(os.Stdout, what)
	select {
	case l.news <- struct{}{}:
	default: // there is news already
	}
}

// [/callback]

// [webhook] Accept a webhook if one of the service's keys signed it, it is recent, and its id is new.
func (l *listener) isTold(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	if err != nil {
		http.Error(w, "the body is too long", http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	event, err := client.VerifyWebhook(r.Header, body, l.keys, time.Now(), 5*time.Minute)
	if err != nil { // the keys change: fetch them again before refusing
		if l.keys, err = l.load(r.Context()); err != nil {
			http.Error(w, "the keys could not be had: send it again", http.StatusServiceUnavailable)
			return
		}
		event, err = client.VerifyWebhook(r.Header, body, l.keys, time.Now(), 5*time.Minute)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	if event.Data.Token == l.awaited && !l.seen[event.ID] {
		l.tell("webhook " + event.Type)
	}
	l.seen[event.ID] = true
}

func (l *listener) load(ctx context.Context) (client.WebhookKeys, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.jwks, http.NoBody)
	if err != nil {
		return nil, err
	}
	_, body, err := exchange(request)
	if err != nil {
		return nil, err
	}
	return client.ParseWebhookKeys(body)
}

// [/webhook]
