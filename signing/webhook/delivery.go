package webhook

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/store"
)

// State is where a delivery stands; package documentation shows the ways between states.
type State string

// The states of a delivery.
const (
	Waiting   State = "waiting"   // nothing has happened yet
	Pending   State = "pending"   // it is to be delivered
	Delivered State = "delivered" // the receiver has answered with a 2xx
	Dead      State = "dead"      // nobody tries any more, until it is replayed
)

// States are all of them.
func States() []State { return []State{Waiting, Pending, Delivered, Dead} }

// Delivery is what is kept of one event and of the attempts to deliver it.
type Delivery struct {
	ID     string `json:"id"` // of the event, constant over all attempts
	Client string `json:"client"`
	State  State  `json:"state"`
	Type   string `json:"type,omitempty"` // of the event; empty while waiting

	At    time.Time `json:"at"`             // when it happened; while waiting: when it is due to happen
	Since time.Time `json:"since,omitzero"` // since when it is being delivered
	Kept  time.Time `json:"kept"`           // until when it is kept once it is delivered
	Ended time.Time `json:"ended,omitzero"` // when it was delivered, or became a dead letter
	Why   string    `json:"why,omitempty"`  // it is dead

	Attempts int      `json:"attempts,omitempty"` // all of them
	Failures int      `json:"failures,omitempty"` // in a row, since it was queued or replayed
	Last     *Attempt `json:"last,omitempty"`

	// Content is what its Source needs to make the event's body. Nobody else reads it.
	Content jsontext.Value `json:"content,omitempty"`

	due     time.Time
	expires time.Time // of a dead one
	version store.Version
}

// Attempt is one POST and how it ended.
type Attempt struct {
	At      time.Time `json:"at"`
	Millis  int64     `json:"millis"`
	Outcome string    `json:"outcome"`          // one of the Outcome constants
	Status  int       `json:"status,omitempty"` // where there was an answer
	Detail  string    `json:"detail,omitempty"` // what went wrong, in words
}

// Outcomes of an Attempt.
const (
	OutcomeDelivered   = "delivered"    // 2xx
	OutcomeGone        = "gone"         // 410: the receiver wants no more of it
	OutcomeRedirect    = "redirect"     // 3xx: never followed
	OutcomeRejected    = "rejected"     // any other 4xx
	OutcomeServerError = "server_error" // 5xx
	OutcomeTimeout     = "timeout"
	OutcomeUnreachable = "unreachable" // no connection, or it broke
	OutcomeRefused     = "refused"     // by the rules for outgoing requests
	OutcomeNotSent     = "not_sent"    // the event could not be made or signed
)

const (
	keyPrefix   = "webhook/"
	indexPrefix = "webhooks/"
	queuePrefix = "webhooks/"
)

func keyOf(id string) string       { return keyPrefix + id }
func indexOf(state State) string   { return indexPrefix + string(state) }
func queueOf(client string) string { return queuePrefix + client }

// Announce is a delivery that waits for what has not happened yet, as a record to be put. It is looked at when
// look has come.
func Announce(id, client string, content jsontext.Value, at, look, kept time.Time) (*store.Record, error) {
	d := &Delivery{ID: id, Client: client, State: Waiting, At: at, Kept: kept, Content: content, due: look}
	return d.record()
}

// Tell is a delivery that is due now, as a record to be put: of something that happens in the same commit.
func Tell(id, client, eventType string, content jsontext.Value, at, now, kept time.Time) (*store.Record, error) {
	d := &Delivery{
		ID: id, Client: client, State: Pending, Type: eventType, At: at, Since: now, Kept: kept, Content: content, due: now,
	}
	return d.record()
}

// record is how the delivery stands in the store: in its client's queue while there is something to do, and under the
// index of its state. One that is open does not expire, since only its end may make it go away.
func (d *Delivery) record() (*store.Record, error) {
	value, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("delivery %s: %w", d.ID, err)
	}
	r := &store.Record{Key: keyOf(d.ID), Value: value, Index: indexOf(d.State)}
	switch d.State {
	case Waiting, Pending:
		r.Queue, r.Due = queueOf(d.Client), d.due
	case Delivered:
		r.Expires = d.Kept
	case Dead:
		r.Expires = d.expires
	}
	return r, nil
}

func parse(r *store.Record) (*Delivery, error) {
	d := &Delivery{}
	if err := json.Unmarshal(r.Value, d); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Key, err)
	}
	if d.ID != strings.TrimPrefix(r.Key, keyPrefix) {
		return nil, errors.New(r.Key + " holds another delivery")
	}
	d.due, d.expires, d.version = r.Due, r.Expires, r.Version
	return d, nil
}

// Check holds a commit to the delivery as it was claimed.
func (d *Delivery) Check() store.Check { return store.Check{Key: keyOf(d.ID), Version: d.version} }

// change is a commit of the delivery as it now is, if nobody has changed it since it was read.
func (d *Delivery) change() (store.Batch, error) {
	r, err := d.record()
	if err != nil {
		return store.Batch{}, err
	}
	return store.Batch{If: []store.Check{d.Check()}, Then: []store.Op{{Put: r}}}, nil
}
