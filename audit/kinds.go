package audit

import (
	"encoding/json"
	"time"
)

// Kinds of entries that the log writes itself; all others are the caller's.
const (
	kindLog       = "log"       // names the log; first in each file, and first of a process that goes on with a log
	kindKey       = "key"       // a public key of the gateway
	kindLate      = "late"      // stands before a head that comes later than promised, and says why
	kindHead      = "head"      // signs the chain before it
	kindRecovered = "recovered" // a torn last line, never acknowledged, was taken off at start

	kindInterrupted = "interrupted" // for a time no entry could be written
	kindRemoved     = "removed"     // files are about to be removed
	kindHold        = "hold"        // nothing is removed from now on
	kindReleased    = "released"    // the hold has ended
)

// Kinds of entries that package keeper writes.
const (
	KindMissing = "missing" // a log that is remembered is not there
	KindRetired = "retired" // an operator has said that it will not come back
	KindHanded  = "handed"  // an operator has said that a head is kept outside
)

// naming is the data of a kindLog.
type naming struct {
	Node string `json:"node"`
	Log  string `json:"log"`           // random, the same for the log's whole life
	Was  string `json:"was,omitempty"` // the node's former name
	// Opened says that a process has just opened the log. What stands before it without a head may have been put there
	// while no process held the log, so no key and no removal counts among it.
	Opened bool `json:"opened,omitempty"`
}

// publicKey is the data of a kindKey.
type publicKey struct {
	KID string          `json:"kid"`
	JWK json.RawMessage `json:"jwk"`
}

// late is the data of a kindLate.
type late struct {
	Since   time.Time `json:"since"`   // the oldest entry without a head
	Entries int       `json:"entries"` // without one
	Why     string    `json:"why"`
}

// head is the data of a kindHead. It signs everything up to the entry before it.
type head struct {
	KID       string      `json:"kid"`
	Signature []byte      `json:"signature"`
	Also      []signature `json:"also,omitempty"` // by former keys that are still published
	Version   int         `json:"v,omitempty"`    // headVersion; missing where the writer promised less
}

type signature struct {
	KID       string `json:"kid"`
	Signature []byte `json:"signature"`
}

// headVersion marks the heads of writers that keep or explain the promise of promise.go.
const headVersion = 2

// counts says whether the entry counts towards the next head: all do but those that belong to a head itself.
func (e Entry) counts() bool { return e.Kind != kindHead && e.Kind != kindKey && e.Kind != kindLate }
