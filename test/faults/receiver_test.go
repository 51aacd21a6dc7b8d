package faults_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// receiver is the client system's end of webhooks. What it takes is in the journal before it answers.
type receiver struct {
	w       *world
	address string
	mood    atomic.Int32

	mu   sync.Mutex
	keys []ed25519.PublicKey
	ids  map[string]string // of events, by the token they are about
}

// Moods of a receiver.
const (
	wellMood   int32 = iota
	awayMood         // breaks every connection
	slowMood         // takes its time
	forgetMood       // takes it, and breaks the connection before it says so
)

// event is the body of a webhook.
type event struct {
	ID   string `json:"id"`
	Data struct {
		Token  string `json:"token"`
		Status string `json:"status"`
		State  string `json:"state"`
	} `json:"data"`
}

// newReceiver listens, on a port of its own, for as long as the test runs.
func newReceiver(t testing.TB, w *world) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(gateway.FreePort(t))))
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{w: w, ids: map[string]string{}}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	r.address = "http://localhost:" + port + "/hook"
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // until it is closed
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return r
}

// ServeHTTP takes a webhook, or does what its mood is.
func (r *receiver) ServeHTTP(rw http.ResponseWriter, request *http.Request) {
	mood := r.mood.Load()
	if mood == awayMood {
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the gateway was killed
	}
	if err := r.take(request, body); err != nil {
		r.w.lose("a webhook: %v", err)
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	switch mood {
	case slowMood:
		pause(300*time.Millisecond, 600*time.Millisecond)
	case forgetMood:
		panic(http.ErrAbortHandler)
	}
	rw.WriteHeader(http.StatusNoContent)
}

func (r *receiver) take(request *http.Request, body []byte) error {
	if err := r.verify(request, body); err != nil {
		return err
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	h := request.Header
	r.mu.Lock()
	before, again := r.ids[e.Data.Token]
	r.ids[e.Data.Token] = e.ID
	r.mu.Unlock()
	switch {
	case e.ID == "" || e.ID != h.Get("Webhook-Id") || e.ID != h.Get("Idempotency-Key"):
		return fmt.Errorf("id %q, with %q and %q in its headers", e.ID, h.Get("Webhook-Id"), h.Get("Idempotency-Key"))
	case again && before != e.ID:
		return fmt.Errorf("a duplicate of %s is %s", before, e.ID)
	}
	return r.w.journal.told(e)
}

// verify holds a webhook to the gateway's published keys (Ed25519 over id, timestamp and body).
func (r *receiver) verify(request *http.Request, body []byte) error {
	h := request.Header
	content := append([]byte(h.Get("Webhook-Id")+"."+h.Get("Webhook-Timestamp")+"."), body...)
	holds := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for text := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
			signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "v1a,"))
			for _, key := range r.keys {
				if err == nil && ed25519.Verify(key, content, signature) {
					return true
				}
			}
		}
		return false
	}
	if holds() {
		return nil
	}
	if err := r.fetchKeys(); err != nil {
		return fmt.Errorf("the gateway's keys: %w", err)
	}
	if !holds() {
		return fmt.Errorf("no key of the gateway has signed it: %s", bytes.TrimSpace(body))
	}
	return nil
}

// fetchKeys goes on also when the gateway gives the webhook up, or is killed: there will be one that answers.
func (r *receiver) fetchKeys() error {
	ctx, end := context.WithTimeout(r.w.t.Context(), patience)
	defer end()
	a, err := r.w.insist(ctx, func() (answer, error) { return call(ctx, r.w.http, http.MethodGet, r.w.base+"/jwks.json", "") })
	if err != nil {
		return err
	}
	var set struct {
		Keys []struct {
			Curve string `json:"crv"`
			X     string `json:"x"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(a.body, &set); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = nil
	for _, key := range set.Keys {
		if x, err := base64.RawURLEncoding.DecodeString(key.X); err == nil && key.Curve == "Ed25519" && len(x) == ed25519.PublicKeySize {
			r.keys = append(r.keys, x)
		}
	}
	return nil
}

// awaitDeliveries waits until the end of every request that has one was told by a webhook.
func (w *world) awaitDeliveries() {
	missing := func() (n int) {
		requests, _ := w.journal.since(0, 0)
		w.receiver.mu.Lock()
		defer w.receiver.mu.Unlock()
		for _, r := range requests {
			s, _ := w.journal.standing(r)
			if _, told := w.receiver.ids[r.token]; s > opened && !told {
				n++
			}
		}
		return n
	}
	if !gateway.Eventually(patience, func() bool { return missing() == 0 }) {
		w.lose("%d requests have ended, and no webhook tells of it", missing())
	}
}

// TestReceiver has the receiver of webhooks away for long, then slow, then forgetful, while the gateway is killed now
// and then: each end is told at least once, always by the same id.
func TestReceiver(t *testing.T) {
	turn := 0
	moods := []int32{awayMood, awayMood, slowMood, forgetMood}
	play(t, 4, func(t *testing.T) *world { return newWorld(t, site{}) }, func(w *world) {
		w.receiver.mood.Store(moods[turn%len(moods)])
		turn++
		pause(300*time.Millisecond, 900*time.Millisecond)
		if turn%2 == 0 {
			w.Kill()
			w.restart()
		}
		if turn%len(moods) == 0 {
			w.receiver.mood.Store(wellMood)
		}
	})
}
