package adminapi

import "github.com/seed-dd2befc3/countersign/signing"

// SessionList is the answer of /countersign/sessions.
type SessionList struct {
	Sessions []signing.Summary `json:"sessions"`
	Next     string            `json:"next,omitempty"` // after= of the next answer; empty: there are no more
}

// SessionStates are those that sessions can be asked for by.
func SessionStates() []signing.State {
	return []signing.State{
		signing.StateCreated, signing.StateOpened, signing.StateSigning, signing.StateSigned,
		signing.StateFailed, signing.StateCancelled, signing.StateExpired,
	}
}
