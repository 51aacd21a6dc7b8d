// Package store says what a session store offers, in four verbs. The engines are packages below it, and
// package storetest is the suite that each of them passes.
//
// A store keeps records. A record has a key, a value, an expiry, and may stand in one queue (with the time
// it is due) and under one index. Everything that must happen together goes into one Batch: its checks are
// data, so an engine can settle many callers' batches in one durable transaction.
//
// A store never interprets a value, never returns a record after its expiry (whether or not it was deleted
// by then), and never acknowledges a Commit before it is durable, except the memory engine, which promises
// nothing beyond the life of its process.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits that hold for every engine, so that what works on one works on all. What exceeds one is refused with
// ErrInvalid (see Batch.Validate).
const (
	MaxKey   = 512       // bytes of a key, an index name or a queue name
	MaxValue = 512 << 10 // bytes of a value; callers split what is larger
	MaxBatch = 2 << 20   // bytes of all keys, values and names of one batch's Ops (see Batch.Size)
	MaxOps   = 512       // Ops of one batch, and checks of one batch
)

// Volatile is the prefix of keys that backups leave out: of records that are not worth restoring, or must not be kept
// for longer than the store keeps them.
const Volatile = "volatile/"

// Version identifies one state of a record. It is opaque, comes from the store alone, and a record that was
// deleted and put again never gets an earlier one back. The zero Version means that there is no record.
type Version uint64

// Record is one stored value with what the store knows about it. Its instants are kept to the nanosecond, from
// 1678 to 2262, and come back in UTC. Keys and names are any bytes; keys sort by their bytes.
type Record struct {
	Key     string
	Value   []byte
	Version Version   // set by the store when reading; ignored when putting
	Expires time.Time // the record does not exist at or after this time; zero: it does not expire
	Queue   string    // the queue it stands in; empty: none
	Due     time.Time // when the queue may hand it out; zero: at once. Not kept without Queue
	Index   string    // what List finds it under; empty: nothing
}

// Check is a condition on one key: that its record has this version, or, with Version zero, that there is none.
type Check struct {
	Key     string
	Version Version
}

// Op puts or deletes one record. Exactly one of its fields is set. A Put replaces all of the record that was
// there; a Delete of what is not there does nothing.
type Op struct {
	Put    *Record
	Delete string
}

// Batch is a set of changes that happen together, if every check holds, or not at all. Checks see the state
// before the batch. Two Ops on one key are an error.
type Batch struct {
	If   []Check
	Then []Op
}

// Store keeps records. Its methods may be called from many goroutines. A context that ends stops the wait,
// not necessarily the work: after a Commit ended by its context the batch may or may not have happened.
type Store interface {
	// Get returns one record for each key, in order. One that does not exist, or has expired, has Version
	// zero and nothing but its key. The records are of one moment.
	Get(ctx context.Context, keys ...string) ([]Record, error)

	// Commit makes the batch happen, all or nothing, and returns when it is durable. A check that does not
	// hold gives a *Conflict.
	Commit(ctx context.Context, batch Batch) error

	// Claim takes up to n records of the queue that are due, soonest first, and hands each to one caller
	// only: their Due moves to now + lease, and they get the new Version that is returned. Whoever is done
	// with one commits its removal (or a new Due) with a check on that Version. A lease that runs out makes
	// the record due again. Fewer than n come back when together they would exceed MaxBatch or MaxOps, so
	// only an empty answer says that nothing is due.
	Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]Record, error)

	// List returns up to limit records under the index with keys greater than after, in order of their keys.
	List(ctx context.Context, index, after string, limit int) ([]Record, error)

	// Close waits for what is under way and releases the engine. Later calls fail with ErrUnavailable, but a
	// second Close does nothing.
	Close() error
}

// Dumper is a Store that can be read out as a whole, for a backup or to move to another engine. Every engine is one.
type Dumper interface {
	// Dump hands over each record that exists, all as of one moment, in the order of their keys, while others go on
	// using the store. A record's Value is the function's only until it returns. An error of the function ends it, and
	// so does Close, which waits for the function to return: who hands records on to somebody slow sets a limit to that.
	Dump(ctx context.Context, each func(Record) error) error
}

// ErrUnavailable is what every failure of an engine to read or keep something unwraps to: closed, down, or
// full. The caller may try again later; nothing that was acknowledged is lost.
var ErrUnavailable = errors.New("the store is not available")

// ErrInvalid is a request that no engine would take: over a limit, without a key, or with two Ops on one key.
var ErrInvalid = errors.New("invalid store request")

// Conflict is the error of a Commit whose check did not hold.
type Conflict struct {
	Check Check // the first check that did not hold
}

func (c *Conflict) Error() string {
	if c.Check.Version == 0 {
		return fmt.Sprintf("store: %q already exists", c.Check.Key)
	}
	return fmt.Sprintf("store: %q has changed or is gone", c.Check.Key)
}
