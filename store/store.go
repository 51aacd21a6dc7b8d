// Package store defines a session store in four methods. The engines are the packages below it, and package
// storetest is the test suite that each of them passes.
//
// A store keeps records. A record has a key, a value and an expiry, and may be in one queue (with the time it is
// due) and under one index. Changes that must happen together go into one Batch. Its checks are data, so an engine
// can commit the batches of many callers in one durable transaction.
//
// A store never interprets a value. It never returns an expired record, even one that is not deleted yet. It never
// acknowledges a Commit before it is durable, except for the memory engine, which keeps nothing beyond the life
// of its process.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The limits of every engine, so that what works on one works on all. Requests over a limit fail with ErrInvalid
// (see Batch.Validate).
const (
	MaxKey   = 512       // bytes of a key, an index name or a queue name
	MaxValue = 512 << 10 // bytes of a value; callers split larger ones
	MaxBatch = 2 << 20   // bytes of all keys, values and names of one batch's Ops (see Batch.Size)
	MaxOps   = 512       // Ops of one batch, and checks of one batch
)

// Volatile is the prefix of keys that backups leave out: of records not worth restoring, or that must not outlive the
// store's own copy.
const Volatile = "volatile/"

// Version identifies one state of a record. It is opaque and assigned by the store; a record that was deleted and
// put again never gets an earlier version back. Version zero means that there is no record.
type Version uint64

// Record is one stored value with its metadata. Times are kept to the nanosecond, from 1678 to 2262, and are
// returned in UTC. Keys and names may be any bytes; keys sort bytewise.
type Record struct {
	Key     string
	Value   []byte
	Version Version   // set by the store when reading; ignored when putting
	Expires time.Time // the record does not exist at or after this time; zero: no expiry
	Queue   string    // the queue it is in; empty: none
	Due     time.Time // when Claim may return it; zero: at once. Ignored without Queue
	Index   string    // the index List finds it under; empty: none
}

// Check is a condition on one key: its record has this version or, for version zero, does not exist.
type Check struct {
	Key     string
	Version Version
}

// Op puts or deletes one record. Exactly one of its fields is set. A Put replaces the whole record; deleting a
// key that does not exist does nothing.
type Op struct {
	Put    *Record
	Delete string
}

// Batch is a set of changes that are applied together if every check holds, and otherwise not at all. Checks see
// the state before the batch. Two Ops on one key are an error.
type Batch struct {
	If   []Check
	Then []Op
}

// Store keeps records. Its methods are safe for concurrent use. When a context ends, the call returns, but its
// work may go on: after a Commit that ended by its context, the batch may or may not have been applied.
type Store interface {
	// Get returns one record for each key, in order. A record that does not exist or has expired has Version zero
	// and only its key. All records are from one snapshot.
	Get(ctx context.Context, keys ...string) ([]Record, error)

	// Commit applies the batch atomically and returns once it is durable. If a check does not hold, the error is
	// a *Conflict.
	Commit(ctx context.Context, batch Batch) error

	// Claim returns up to n due records of the queue, soonest first, each to one caller only: their Due moves to
	// now + lease, and they get a new Version. A caller that is done with a record commits its deletion (or a new
	// Due) with a check on that Version. When a lease runs out the record is due again. Claim returns fewer than
	// n if more would exceed MaxBatch or MaxOps, so only an empty result means that nothing is due.
	Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]Record, error)

	// List returns up to limit records of the index whose keys are greater than after, in key order.
	List(ctx context.Context, index, after string, limit int) ([]Record, error)

	// Close waits for calls in progress and releases the engine. Later calls fail with ErrUnavailable; a second
	// Close does nothing.
	Close() error
}

// Dumper is a Store that can be read as a whole, for a backup or a move to another engine. Every engine is one.
type Dumper interface {
	// Dump calls the function with each existing record of one snapshot, in key order, while others go on using the
	// store. A record's Value is valid only until the function returns. An error of the function ends the dump, and
	// so does Close, which waits for the function to return; a function that may block has to set itself a deadline.
	Dump(ctx context.Context, each func(Record) error) error
}

// ErrUnavailable is wrapped by every error of an engine that could not read or write: it is closed, down or full.
// The caller may retry later; nothing that was acknowledged is lost.
var ErrUnavailable = errors.New("the store is not available")

// ErrInvalid is wrapped by the errors of requests that no engine accepts: over a limit, without a key, or with two
// Ops on one key.
var ErrInvalid = errors.New("invalid store request")

// Conflict is the error of a Commit with a check that did not hold.
type Conflict struct {
	Check Check // the first check that did not hold
}

func (c *Conflict) Error() string {
	if c.Check.Version == 0 {
		return fmt.Sprintf("store: key %q already exists", c.Check.Key)
	}
	return fmt.Sprintf("store: key %q has changed or was deleted", c.Check.Key)
}
