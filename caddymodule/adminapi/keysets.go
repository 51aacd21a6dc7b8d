package adminapi

import "time"

// KeySets is the answer of /countersign/keysets/{client}/refresh.
type KeySets struct {
	KeySets []KeySet `json:"keySets"`
}

// KeySet is one source of a client's keys.
type KeySet struct {
	Source  string    `json:"source"` // path or URL
	Keys    []Key     `json:"keys"`
	Skipped []string  `json:"skipped,omitempty"` // a line for each key that was left out
	Read    time.Time `json:"read,omitzero"`     // when the keys were read; zero if never
	Error   string    `json:"error,omitempty"`   // of the last attempt, if it failed; the keys are those read before
}

// Key is one key of a client that can be used.
type Key struct {
	KID        string `json:"kid"`
	Bits       int    `json:"bits"`
	Thumbprint string `json:"thumbprint"` // RFC 7638
}
