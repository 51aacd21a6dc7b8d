package demo

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

// sender is the Signing Service's side of the webhook.
type sender struct {
	site    *site
	began   time.Time // at which the demo's clock stands
	key     ed25519.PrivateKey
	fetches int
	away    bool
}

func newSender(t *testing.T) *sender {
	t.Helper()
	s := &sender{began: time.Now()}
	s.site = newSite(t, Options{Now: func() time.Time { return s.began }})
	s.rotate(t)
	s.site.service.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/jwks.json" {
			return false
		}
		s.fetches++
		if s.away {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		x := base64.RawURLEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}}})
		return true
	}
	return s
}

func (s *sender) rotate(t *testing.T) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.site.service.with(func() { s.key = key })
}

// post sends an event, and returns the status of the answer.
func (s *sender) post(t *testing.T, id, kind string, spoil func(http.Header)) int {
	t.Helper()
	body, err := json.Marshal(client.WebhookEvent{ID: id, Type: kind, Timestamp: time.Now(), Data: client.WebhookData{
		Token: "canary-token", Status: "failed", Reason: &client.WebhookReason{Code: "x", Text: "A <reason>"}, Client: "demo-epr",
	}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.site.URL+"/demo/webhook", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set(client.HeaderWebhookID, id)
	request.Header.Set(client.HeaderWebhookTimestamp, stamp)
	request.Header.Set(client.HeaderWebhookSignature,
		client.WebhookSignaturePrefix+base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, client.WebhookContent(id, stamp, body))))
	if spoil != nil {
		spoil(request.Header)
	}
	status, _ := s.site.do(t, request)
	return status
}

func TestWebhooksAreVerifiedAndShown(t *testing.T) {
	s := newSender(t)
	_, page := s.site.get(t, "/demo/webhooks")
	expect(t, page, "None has arrived")
	for id, kind := range map[string]string{"w1": client.WebhookFailed, "w2": client.WebhookCompleted} {
		if status := s.post(t, id, kind, nil); status != http.StatusNoContent {
			t.Errorf("a valid webhook: got status %d", status)
		}
	}
	s.post(t, "w1", client.WebhookFailed, nil)
	if status := s.post(t, "w3", client.WebhookFailed, func(h http.Header) { h.Set(client.HeaderWebhookID, "w4") }); status != http.StatusUnauthorized {
		t.Errorf("a forged webhook: got status %d", status)
	}
	_, page = s.site.get(t, "/demo/webhooks")
	expect(t, page, "signing.failed", "signing.completed", "w1", "w2", "2 times", "A &lt;reason&gt;")
	for _, not := range []string{"w3", "w4", "canary-token"} {
		if strings.Contains(page, not) {
			t.Errorf("want no %s in the page", not)
		}
	}
	if s.fetches != 1 {
		t.Errorf("got %d fetches of the key set", s.fetches)
	}
}

// While the keys cannot be fetched, the webhook must be sent again; a new key is found, but not for every forged
// webhook.
func TestWebhookKeys(t *testing.T) {
	s := newSender(t)
	s.site.service.with(func() { s.away = true })
	if status := s.post(t, "w1", client.WebhookCompleted, nil); status != http.StatusServiceUnavailable {
		t.Errorf("without keys: got status %d", status)
	}
	s.site.service.with(func() { s.away = false })
	if status := s.post(t, "w1", client.WebhookCompleted, nil); status != http.StatusNoContent {
		t.Errorf("with keys: got status %d", status)
	}
	s.rotate(t)
	before := s.fetches
	if status := s.post(t, "w2", client.WebhookCompleted, nil); status != http.StatusUnauthorized || s.fetches != before {
		t.Errorf("another key right after a fetch: got status %d, %d fetches", status, s.fetches-before)
	}
	s.site.demo.inbox.mu.Lock()
	s.site.demo.inbox.fetched = s.began.Add(-time.Minute)
	s.site.demo.inbox.mu.Unlock()
	if status := s.post(t, "w2", client.WebhookCompleted, nil); status != http.StatusNoContent || s.fetches != before+1 {
		t.Errorf("a new key: got status %d, %d fetches", status, s.fetches-before)
	}
}
