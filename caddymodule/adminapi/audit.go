package adminapi

import "time"

// Audit is the answer of /countersign/audit, and a part of /countersign/status.
type Audit struct {
	Node       string         `json:"node"` // the log's name
	Dir        string         `json:"dir"`
	Head       *AuditHead     `json:"head,omitempty"`       // the last one; none while none could be signed
	Unsigned   int            `json:"unsigned"`             // entries behind it
	Error      string         `json:"error,omitempty"`      // why entries cannot be written
	HeadError  string         `json:"headError,omitempty"`  // why the last head could not be signed
	StoreError string         `json:"storeError,omitempty"` // why the store could not be asked what it remembers
	Missing    []AuditMissing `json:"missing"`              // logs that are not as the store remembers them
	Nodes      []AuditNode    `json:"nodes"`                // every node whose log the store remembers
	Handed     *AuditHanded   `json:"handed,omitempty"`     // the furthest entry that was handed outside
	Keep       string         `json:"keep,omitempty"`       // how long files are kept; missing: for ever
	Due        int            `json:"due,omitempty"`        // files that are older
	Waiting    int            `json:"waiting,omitempty"`    // of those, the ones that no head handed outside covers
	Hold       *AuditHold     `json:"hold,omitempty"`       // nothing is removed while it stands
	KeepError  string         `json:"keepError,omitempty"`  // why nothing could be removed last
}

// AuditHanded is an entry whose number and hash somebody outside has.
type AuditHanded struct {
	AuditHead
	To string `json:"to"`
}

// AuditHold keeps files from being removed.
type AuditHold struct {
	Since  time.Time `json:"since,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// AuditHead is a signed head: whoever keeps number and hash elsewhere can show later that the log was cut or replaced.
type AuditHead struct {
	Number uint64    `json:"number"`
	Hash   string    `json:"hash"`
	Time   time.Time `json:"time"`
}

// AuditMissing is a log that is remembered and is not there as it was.
type AuditMissing struct {
	Node  string    `json:"node"`
	What  string    `json:"what"` // gone, shorter, another log or silent
	Head  AuditHead `json:"head"` // the last one that is remembered
	Found time.Time `json:"found"`
}

// AuditNode is a node whose log the store remembers.
type AuditNode struct {
	Node    string    `json:"node"`
	Head    AuditHead `json:"head"`
	Seen    time.Time `json:"seen"`             // when its gateway last said so
	Retired time.Time `json:"retired,omitzero"` // it is not to come back
}
