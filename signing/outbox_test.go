package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// outboxWorld is a world whose client has a webhook.
type outboxWorld struct {
	*world
	outbox *Outbox
}

var testSecret = bytes.Repeat([]byte{7}, 32)

func newOutboxWorld(t testing.TB, change func(*Options)) *outboxWorld {
	t.Helper()
	w := &outboxWorld{}
	webhooks := Webhooks{Seal: func(context.Context) ([]byte, error) { return testSecret, nil }}
	w.world = newWorld(t, func(o *Options) {
		acmes := o.Clients[acme]
		acmes.Webhook = "https://epr.example/hook"
		o.Clients[acme], o.Webhooks = acmes, webhooks
		if change != nil {
			change(o)
		}
	})
	w.outbox = NewOutbox(w.store, webhooks, w.clock.Now)
	return w
}

// delivery reads a session's one delivery.
func (w *outboxWorld) delivery(ticket accepted) *webhook.Delivery {
	w.Helper()
	found, err := webhook.Find(w.Context(), w.store, sessionOf(w, ticket))
	if err != nil || found == nil {
		w.Fatalf("the session's delivery: %v %v", found, err)
	}
	return found
}

// event reads what the client is told.
func (w *outboxWorld) event(ticket accepted) client.WebhookEvent {
	w.Helper()
	d := w.delivery(ticket)
	if d.State != webhook.Pending || d.Next().After(w.clock.Now()) {
		w.Fatalf("not due: %+v until %s", d, d.Next())
	}
	body, err := w.outbox.Body(w.Context(), d)
	if err != nil {
		w.Fatal(err)
	}
	var event client.WebhookEvent
	if err := json.Unmarshal(body, &event); err != nil {
		w.Fatal(err)
	}
	if event.ID != sessionOf(w, ticket) || event.Type != d.Type || event.Data.Token != ticket.Token || event.Data.Client != acme {
		w.Errorf("the event is %+v", event)
	}
	return event
}

// ripen lets the dispatcher look at a delivery that waits, if its time has come.
func (w *outboxWorld) ripen(ticket accepted) {
	w.Helper()
	d := w.delivery(ticket)
	if d.State != webhook.Waiting || d.Next().After(w.clock.Now()) {
		w.Fatalf("it does not wait, or is not due: %+v until %s", d, d.Next())
	}
	if err := w.outbox.Ripen(w.Context(), d); err != nil {
		w.Fatal(err)
	}
}

func TestWebhookOfASignedSession(t *testing.T) {
	w := newOutboxWorld(t, nil)
	b, ticket := w.opened(RS256, 2, "?state=e30=")
	if d := w.delivery(ticket); d.State != webhook.Waiting || !d.Next().Equal(w.clock.Now().Add(30*time.Minute)) {
		t.Errorf("before its end: %+v, due %s", d, d.Next())
	}
	mustBe(t, b.sign(), 202)
	b.settled()
	event := w.event(ticket)
	if event.Type != client.WebhookCompleted || event.Data.Status != "signed" || event.Data.Reason != nil || event.Data.State != "e30=" {
		t.Errorf("%+v", event)
	}
	if !event.Timestamp.Equal(w.clock.Now()) {
		t.Errorf("told as of %s", event.Timestamp)
	}
	mustBe(t, w.fetch(event.Data.Token), 200)
}

func TestWebhookOfACancelledSession(t *testing.T) {
	w := newOutboxWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	mustBe(t, b.cancel(), 200)
	event := w.event(ticket)
	if event.Type != client.WebhookCancelled || event.Data.Status != "cancelled" || event.Data.Reason.Code != reasonCancelled || event.Data.State != "" {
		t.Errorf("%+v", event)
	}
}

func TestWebhookOfAFailedSession(t *testing.T) {
	w := newOutboxWorld(t, nil)
	w.agent.fails(&smartcard.Error{Code: smartcard.CodeMismatch, Final: true})
	_, ticket := w.ran(RS256, 1)
	event := w.event(ticket)
	if event.Type != client.WebhookFailed || event.Data.Reason.Code != smartcard.CodeMismatch || event.Data.Reason.Text == "" {
		t.Errorf("%+v", event)
	}
}

// What can be tried again is not told; the last try is.
func TestWebhookOfTheLastTry(t *testing.T) {
	w := newOutboxWorld(t, func(o *Options) { o.Tries = 2 })
	w.agent.fails(&smartcard.Error{Code: smartcard.CodeWrongPIN})
	b, ticket := w.opened(RS256, 1, "")
	b.sign()
	b.settled()
	if d := w.delivery(ticket); d.State != webhook.Waiting {
		t.Errorf("after a try of two: %+v", d)
	}
	b.sign()
	b.settled()
	if event := w.event(ticket); event.Type != client.WebhookFailed || event.Data.Reason.Code != reasonTooManyTries {
		t.Errorf("%+v", event)
	}
}

// A session that time ends is told of as well, and once: what ended it is written down before, so that nothing can end
// it in another way.
func TestWebhookOfAnExpiredSession(t *testing.T) {
	w := newOutboxWorld(t, nil)
	for name, begin := range map[string]func() (accepted, func()){
		"never opened": func() (accepted, func()) { return w.accept(w.jwt(RS256, 1), "?state=abc"), func() {} },
		"opened": func() (accepted, func()) {
			b, ticket := w.opened(RS256, 1, "?state=abc")
			return ticket, func() { mustBe(t, b.sign(), 202) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.clock.advance(time.Second)
			ticket, late := begin()
			deadline := w.clock.Now().Add(30 * time.Minute)
			w.clock.advance(30 * time.Minute)
			w.ripen(ticket)
			event := w.event(ticket)
			if event.Type != client.WebhookExpired || event.Data.Reason.Code != reasonExpired || event.Data.State != "abc" || !event.Timestamp.Equal(deadline) {
				t.Errorf("%+v", event)
			}
			w.clock.advance(-time.Minute) // another node's clock is behind
			late()
			if w.agent.asked() != 0 {
				t.Error("a session was signed after its client had been told that it expired")
			}
			mustRefuse(t, w.fetch(ticket.Token), refused{410, "expired", ""})
			w.clock.advance(time.Minute)
		})
	}
}

// A gateway that was away until nothing is left of a session still tells that it expired.
func TestWebhookOfASessionThatIsGone(t *testing.T) {
	w := newOutboxWorld(t, nil)
	ticket := w.accept(w.jwt(RS256, 1), "?state=abc")
	deadline := w.clock.Now().Add(30 * time.Minute)
	w.clock.advance(24 * time.Hour)
	w.ripen(ticket)
	if event := w.event(ticket); event.Type != client.WebhookExpired || event.Data.State != "abc" || !event.Timestamp.Equal(deadline) {
		t.Errorf("%+v", event)
	}
}

// A run that began in time is looked at again when its lease has run out.
func TestWebhookWaitsForARunUnderWay(t *testing.T) {
	w := newOutboxWorld(t, nil)
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 1, "")
	w.clock.advance(30*time.Minute - time.Second)
	mustBe(t, b.sign(), 202)
	<-began
	w.clock.advance(2 * time.Second)
	w.ripen(ticket)
	if d := w.delivery(ticket); d.State != webhook.Waiting || !d.Next().After(w.clock.Now()) {
		t.Errorf("while a run is under way: %+v until %s", d, d.Next())
	}
	close(release)
	b.settled()
	if event := w.event(ticket); event.Type != client.WebhookCompleted {
		t.Errorf("%+v", event)
	}
}

// A last try whose node died is none: the session goes on, and its end is told when the clock ends it.
func TestWebhookOfALastTryWhoseNodeDied(t *testing.T) {
	w := newOutboxWorld(t, func(o *Options) { o.Tries, o.Durations.Heartbeat = 1, 5*time.Second })
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 1, "")
	mustBe(t, b.sign(), 202)
	<-began
	defer close(release)
	w.clock.advance(31 * time.Second)
	if seen := b.watch(); seen.State != StateOpened || seen.TriesLeft != 1 {
		t.Errorf("it is %+v", seen)
	}
	w.clock.advance(30 * time.Minute)
	w.ripen(ticket)
	if event := w.event(ticket); event.Type != client.WebhookExpired {
		t.Errorf("%+v", event)
	}
}

// What ends a session and what a dispatcher saw before cannot both be told.
func TestWebhookIsToldOnce(t *testing.T) {
	w := newOutboxWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	seen := w.delivery(ticket)
	mustBe(t, b.cancel(), 200)
	w.clock.advance(time.Hour)
	var conflict *store.Conflict
	if err := w.outbox.Ripen(t.Context(), seen); !errors.As(err, &conflict) {
		t.Errorf("what was claimed before the cancel: %v", err)
	}
	if event := w.event(ticket); event.Type != client.WebhookCancelled {
		t.Errorf("%+v", event)
	}
}

// The signatures and the webhook are there together or not at all.
func TestWebhookIsInTheCommitOfTheSignatures(t *testing.T) {
	w := newOutboxWorld(t, nil)
	commits := 0
	w.store.fail(nil, func(batch store.Batch) error {
		var result, pending bool
		for _, op := range batch.Then {
			if op.Put != nil && strings.HasPrefix(op.Put.Key, "result/") {
				result = true
			}
			if op.Put != nil && op.Put.Index == "webhooks/pending" {
				pending = true
			}
		}
		if result != pending {
			t.Errorf("a commit with signatures: %t, with the webhook: %t", result, pending)
		}
		if result {
			commits++
		}
		return nil
	})
	w.ran(RS256, 2)
	if commits != 1 {
		t.Errorf("%d commits with signatures", commits)
	}
}

// Without a webhook nothing is queued and nothing sealed.
func TestClientWithoutWebhook(t *testing.T) {
	w := newWorld(t, nil)
	_, ticket := w.ran(RS256, 1)
	if found, err := webhook.Find(t.Context(), w.store, sessionOf(t, ticket)); found != nil || err != nil {
		t.Errorf("%+v %v", found, err)
	}
}

// Neither a token nor its bytes stand in the store; who has the store alone cannot make it.
func TestTokenOfAWebhookIsSealed(t *testing.T) {
	w := newOutboxWorld(t, nil)
	_, ticket := w.ran(RS256, 1)
	token := uuid.MustParse(ticket.Token)
	d := w.delivery(ticket)
	records, err := w.store.Get(t.Context(), "webhook/"+d.ID, "session/"+d.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		if bytes.Contains(record.Value, []byte(ticket.Token)) || bytes.Contains(record.Value, token[:]) || len(record.Value) == 0 {
			t.Errorf("%s holds the token", record.Key)
		}
	}
	stranger := NewOutbox(w.store, Webhooks{Seal: func(context.Context) ([]byte, error) { return make([]byte, 32), nil }}, w.clock.Now)
	if body, err := stranger.Body(t.Context(), d); err == nil {
		t.Errorf("opened with another secret: %s", body)
	}
	broken := NewOutbox(w.store, Webhooks{Seal: func(context.Context) ([]byte, error) { return nil, errTest }}, w.clock.Now)
	if _, err := broken.Body(t.Context(), d); !errors.Is(err, errTest) {
		t.Errorf("without a secret: %v", err)
	}
}

// A request is not acknowledged when its client could not be told of its end.
func TestNoSecretNoAcknowledgement(t *testing.T) {
	w := newOutboxWorld(t, func(o *Options) {
		o.Webhooks.Seal = func(context.Context) ([]byte, error) { return nil, errTest }
	})
	mustRefuse(t, w.post(w.Service, w.jwt(RS256, 1), ""), refused{503, "unavailable", ""})
}

// The webhook of a signed request carries where its record stands in the audit log. No other does, nor one without a
// record.
func TestTheRecordIsTold(t *testing.T) {
	newAudited := func() (*outboxWorld, *auditor) {
		a := &auditor{}
		return newOutboxWorld(t, func(o *Options) { o.Auditor, o.AuditOptional = a, true }), a
	}
	w, _ := newAudited()
	_, signed := w.ran(RS256, 2)
	if got := w.event(signed).Data.Audit; got == nil || *got != (client.AuditEntry{Node: "gw-1", Number: 1, Hash: "9f86"}) {
		t.Errorf("signed: told %+v", got)
	}
	if got := AuditEntryOf(w.delivery(signed)); got == nil || got.Number != 1 {
		t.Errorf("the delivery carries %+v", got)
	}
	w, a := newAudited()
	a.fails(func(AuditRecord) error { return errors.New("disk full") })
	_, unrecorded := w.ran(RS256, 2)
	if event := w.event(unrecorded); event.Type != client.WebhookCompleted || event.Data.Audit != nil {
		t.Errorf("without a record: told %+v", event)
	}
	w, _ = newAudited()
	b, cancelled := w.opened(RS256, 1, "")
	mustBe(t, b.cancel(), 200)
	if event := w.event(cancelled); event.Data.Audit != nil || AuditEntryOf(w.delivery(cancelled)) != nil {
		t.Errorf("cancelled: told %+v", event)
	}
}
