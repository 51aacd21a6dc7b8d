package signing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
	"github.com/seed-dd2befc3/countersign/store"
)

// Webhooks is how clients are told, server to server, what became of their requests (SIG-3.2).
type Webhooks struct {
	// Seal returns the secret that tokens are sealed with on their way through the store. It is kept elsewhere than in
	// the store, and never changes.
	Seal func(ctx context.Context) ([]byte, error)
	// Queued is told that something is due for a client; nil: nobody is, and it is found in time.
	Queued func(client string)
}

func (w Webhooks) queued() func(string) {
	if w.Queued == nil {
		return func(string) {}
	}
	return w.Queued
}

// seal hides a token from whoever reads the store, and not the gateway's storage besides. The pad comes from the secret
// and stands for one token only, since no two have the same session id.
func (w Webhooks) seal(ctx context.Context, token uuid.UUID) (uuid.UUID, error) {
	secret, err := w.Seal(ctx)
	if err != nil {
		return uuid.UUID{}, err
	}
	return webhookPad(token, secret, sessionID(token)), nil
}

// open undoes seal, and proves that it did.
func (w Webhooks) open(ctx context.Context, sealed uuid.UUID, id string) (uuid.UUID, error) {
	secret, err := w.Seal(ctx)
	if err != nil {
		return uuid.UUID{}, err
	}
	token := webhookPad(sealed, secret, id)
	if sessionID(token) != id {
		return uuid.UUID{}, errors.New("the token was sealed with another secret than the one in this gateway's storage")
	}
	return token, nil
}

func webhookPad(token uuid.UUID, secret []byte, id string) uuid.UUID {
	return padded(token, secret, "webhook token "+id)
}

// notice is the content of a webhook.Delivery: what its body is made of. One that is announced holds enough to tell that
// the session has expired, for the case that nothing else is left of it by then.
type notice struct {
	Sealed  uuid.UUID             `json:"sealed"`
	Carried string                `json:"carried,omitempty"`
	Status  State                 `json:"status,omitempty"` // none while it is not over
	Reason  *client.WebhookReason `json:"reason,omitempty"`
	Audit   *client.AuditEntry    `json:"audit,omitempty"`
	Tries   int                   `json:"tries"` // runs that the session has, see session.settle
}

// eventTypes are the types of events by the state that a session has ended in.
var eventTypes = map[State]string{
	StateSigned:    client.WebhookCompleted,
	StateFailed:    client.WebhookFailed,
	StateCancelled: client.WebhookCancelled,
	StateExpired:   client.WebhookExpired,
}

// tellable says that a webhook is sent when the session is over.
func (s *session) tellable() bool { return s.Webhook != uuid.UUID{} }

// looked is when the clock may have ended the session, unless it goes on.
func (s *session) looked() time.Time {
	if s.State == StateSigning {
		return s.Lease
	}
	return s.Deadline
}

// announce queues a session's webhook for the time when the clock may have ended it.
func (s *sessions) announce(of *session) (store.Op, error) {
	content, err := encode(notice{Sealed: of.Webhook, Carried: of.Carried, Tries: s.tries})
	if err != nil {
		return store.Op{}, err
	}
	record, err := webhook.Announce(of.ID, of.Client, content, of.Deadline, of.looked(), of.Gone)
	return store.Op{Put: record}, err
}

// tell makes the webhook of a session that is over due now, in the commit that ends it.
func (s *sessions) tell(of *session) (store.Op, error) {
	now := s.now()
	happened := now
	if of.State == StateExpired {
		happened = of.Deadline
	}
	said := notice{Sealed: of.Webhook, Carried: of.Carried, Status: of.State, Audit: of.Audit, Tries: s.tries}
	if of.Reason != "" {
		reason := reasonOf(of)
		said.Reason = &client.WebhookReason{Code: reason.Code, Text: reason.Text, IDs: of.Declined}
	}
	return tell(of.ID, of.Client, said, happened, now, of.Gone)
}

// wordsOf is a reason as a webhook tells it; nil for none.
func wordsOf(reason string) *client.WebhookReason {
	if reason == "" {
		return nil
	}
	words := reasonFor(reason)
	return &client.WebhookReason{Code: words.Code, Text: words.Text}
}

func tell(id, to string, said notice, happened, now, kept time.Time) (store.Op, error) {
	content, err := encode(said)
	if err != nil {
		return store.Op{}, err
	}
	record, err := webhook.Tell(id, to, eventTypes[said.Status], content, happened, now, kept)
	return store.Op{Put: record}, err
}

// Outbox is the webhook.Source of sessions' webhooks, whichever service of a gateway made them.
type Outbox struct {
	store    store.Store
	webhooks Webhooks
	now      func() time.Time
}

// NewOutbox makes an Outbox.
func NewOutbox(of store.Store, webhooks Webhooks, now func() time.Time) *Outbox {
	return &Outbox{store: of, webhooks: webhooks, now: now}
}

// Ripen implements webhook.Source: the clock may have ended a session. If so that is written down and told in one
// commit; else it is looked at later.
func (o *Outbox) Ripen(ctx context.Context, d *webhook.Delivery) error {
	var announced notice
	if err := decode(d.Content, &announced); err != nil {
		return err
	}
	sessions := &sessions{store: o.store, now: o.now, tries: announced.Tries}
	batch := store.Batch{If: []store.Check{d.Check()}}
	current, version, err := sessions.get(ctx, d.ID)
	switch {
	case isGone(err): // it ended in no other way, or that would have been told
		announced.Status, announced.Reason = StateExpired, wordsOf(reasonExpired)
		batch.Then, err = oneOp(tell(d.ID, d.Client, announced, d.At, o.now(), d.Kept))
	case err == nil && current.State.Over():
		batch.If = append(batch.If, store.Check{Key: sessionKey(d.ID), Version: version})
		if batch.Then, err = oneOp(sessions.tell(current)); err == nil {
			var ended store.Record
			ended, err = current.record()
			batch.Then = append(batch.Then, store.Op{Put: &ended})
		}
	case err == nil:
		batch.Then, err = oneOp(sessions.announce(current))
	}
	if err != nil {
		return err
	}
	if err := o.store.Commit(ctx, batch); err != nil {
		return err
	}
	o.webhooks.queued()(d.Client)
	return nil
}

func oneOp(op store.Op, err error) ([]store.Op, error) { return []store.Op{op}, err }

// Body implements webhook.Source.
func (o *Outbox) Body(ctx context.Context, d *webhook.Delivery) ([]byte, error) {
	var said notice
	if err := decode(d.Content, &said); err != nil {
		return nil, err
	}
	token, err := o.webhooks.open(ctx, said.Sealed, d.ID)
	if err != nil {
		return nil, err
	}
	return said.body(d, token)
}

func (n notice) body(d *webhook.Delivery, token uuid.UUID) ([]byte, error) {
	body, err := json.Marshal(client.WebhookEvent{
		ID: d.ID, Type: d.Type, Timestamp: d.At.UTC(),
		Data: client.WebhookData{
			Token: token.String(), Status: string(n.Status), Reason: n.Reason,
			State: readableState(n.Carried), Client: d.Client, Audit: n.Audit,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the event: %w", err)
	}
	return body, nil
}

// trialReasons are those of the events that TrialEvent makes.
var trialReasons = map[State]string{StateFailed: reasonSignature, StateCancelled: reasonCancelled, StateExpired: reasonExpired}

// TrialEvent is the body of an event for a receiver to be tried with, of a session that there never was: its token is
// unknown to every service.
func TrialEvent(eventType, to string, now time.Time) (id string, body []byte, err error) {
	for state, name := range eventTypes {
		if name != eventType {
			continue
		}
		token := uuid.New()
		said := notice{Carried: "state=trial", Status: state, Reason: wordsOf(trialReasons[state])}
		if state == StateSigned {
			said.Audit = &client.AuditEntry{Node: "trial", Number: 1, Hash: strings.Repeat("0", 64)}
		}
		id = sessionID(token)
		body, err = said.body(&webhook.Delivery{ID: id, Type: eventType, Client: to, At: now}, token)
		return id, body, err
	}
	return "", nil, fmt.Errorf("unknown type of event %q: use %v", eventType, slices.Sorted(maps.Values(eventTypes)))
}

// AuditEntryOf is the entry of the audit log that a delivery carries to the client, or nil.
func AuditEntryOf(d *webhook.Delivery) *client.AuditEntry {
	var said notice
	if decode(d.Content, &said) != nil {
		return nil
	}
	return said.Audit
}

// Interface guards.
var _ webhook.Source = (*Outbox)(nil)
