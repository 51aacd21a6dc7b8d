package audit

import (
	"encoding/json"
	"time"
)

// The kinds of entries that the log itself writes. All others belong to the caller.
const (
	kindLog       = "log"       // names the log; first entry of each file, and of a process that continues a log
	kindKey       = "key"       // a public key of the gateway
	kindLate      = "late"      // precedes a head that is later than promised, and gives the reason
	kindHead      = "head"      // signs the chain before it
	kindRecovered = "recovered" // an incomplete last line, never acknowledged, was removed at the start

	kindInterrupted = "interrupted" // entries could not be written for some time
	kindRemoved     = "removed"     // files are about to be removed
	kindHold        = "hold"        // nothing is removed from now on
	kindReleased    = "released"    // the hold has ended
)

// The kinds of entries that package keeper writes.
const (
	KindMissing = "missing" // a remembered log is missing
	KindRetired = "retired" // an operator has declared that it will not come back
	KindHanded  = "handed"  // an operator has confirmed that a head is kept outside
)

// naming is the data of a kindLog.
type naming struct {
	Node string `json:"node"`
	Log  string `json:"log"`           // random, constant for the log's whole life
	Was  string `json:"was,omitempty"` // the node's previous name
	// Opened means that a process has just opened the log. Entries before it without a head may have been planted while no
	// process held the log, so keys and removals among them do not count.
	Opened bool `json:"opened,omitempty"`
}

// publicKey is the data of a kindKey.
type publicKey struct {
	KID string          `json:"kid"`
	JWK json.RawMessage `json:"jwk"`
}

// late is the data of a kindLate.
type late struct {
	Since   time.Time `json:"since"`   // time of the oldest entry without a head
	Entries int       `json:"entries"` // entries without a head
	Why     string    `json:"why"`
}

// head is the data of a kindHead. It signs everything up to the entry before it.
type head struct {
	KID       string      `json:"kid"`
	Signature []byte      `json:"signature"`
	Also      []signature `json:"also,omitempty"` // by former keys that are still published
	Version   int         `json:"v,omitempty"`    // headVersion; absent if the writer promised less
}

type signature struct {
	KID       string `json:"kid"`
	Signature []byte `json:"signature"`
}

// headVersion marks heads of writers that keep the promise of promise.go or explain why not.
const headVersion = 2

// counts reports whether the entry counts towards the next head: all do except those that belong to a head.
func (e Entry) counts() bool { return e.Kind != kindHead && e.Kind != kindKey && e.Kind != kindLate }
