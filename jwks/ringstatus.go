package jwks

import (
	"context"
	"time"
)

// RingKeyStatus describes one of the gateway's own keys.
type RingKeyStatus struct {
	KID   string    `json:"kid"`
	State string    `json:"state"` // next, signing or former
	From  time.Time `json:"from"`  // when it starts to sign
	Until time.Time `json:"until"` // when its successor starts to sign; for the last key, when that is due
}

// Status returns the published keys, oldest first. It generates none, so there are none before the first use.
func (r *Ring) Status(ctx context.Context) ([]RingKeyStatus, error) {
	keys, err := r.load(ctx)
	if err != nil || len(keys) == 0 {
		return []RingKeyStatus{}, err
	}
	now := r.Now()
	keys = keys.published(now, r.Overlap)
	signing := keys.signing(now)
	all := make([]RingKeyStatus, len(keys))
	for i, key := range keys {
		all[i] = RingKeyStatus{KID: key.KID, State: "signing", From: key.From, Until: key.From.Add(r.Rotate)}
		switch {
		case i < signing:
			all[i].State = "former"
		case i > signing:
			all[i].State = "next"
		}
		if i+1 < len(keys) {
			all[i].Until = keys[i+1].From
		}
	}
	return all, nil
}
