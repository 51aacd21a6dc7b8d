package adminapi

import (
	"time"

	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

// DeliveryList is the answer of /countersign/deliveries.
type DeliveryList struct {
	Deliveries []Delivery `json:"deliveries"`
	Next       string     `json:"next,omitempty"` // after= of the next answer; empty: there are no more
}

// Delivery is what an operator may see of a webhook: neither its token nor the client's state.
type Delivery struct {
	ID       string           `json:"id"` // the session's
	Client   string           `json:"client"`
	State    webhook.State    `json:"state"`
	Type     string           `json:"type,omitempty"`
	At       time.Time        `json:"at"`             // when it happened; while waiting: when time runs out
	Since    time.Time        `json:"since,omitzero"` // since when it is being delivered
	Attempts int              `json:"attempts"`       // all of them
	Failures int              `json:"failures"`       // in a row
	Last     *webhook.Attempt `json:"last,omitempty"` // attempt
	Next     time.Time        `json:"next,omitzero"`  // attempt, or while waiting: when the clock is looked at
	Ended    time.Time        `json:"ended,omitzero"` // when it was delivered, or became a dead letter
	Why      string           `json:"why,omitempty"`  // it is a dead letter
	Until    time.Time        `json:"until,omitzero"` // kept until then, once it has ended
	Address  string           `json:"address"`        // where it goes at present, without its query; empty: nowhere
}

// Replayed is the answer of the replay endpoints: how many webhooks are due again.
type Replayed struct {
	Replayed int `json:"replayed"`
}

// Trial is the answer of /countersign/webhooks/send: a signed event that was sent to a receiver to try it.
type Trial struct {
	ID      string          `json:"id"`      // of the event
	Type    string          `json:"type"`    // of the event
	Forged  bool            `json:"forged"`  // its signature was made to fail
	Body    string          `json:"body"`    // what was sent
	Attempt webhook.Attempt `json:"attempt"` // how it went
	KeySets []string        `json:"keySets"` // where the keys are that verify it
}
