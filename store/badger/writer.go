package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"runtime"

	engine "github.com/dgraph-io/badger/v4"
)

const (
	maxGroup    = 256  // bounds the queue to the writer, and so how much work one answer may wait for
	maxHorizons = 1024 // bounds the queues whose horizon is remembered
)

// work is what the writer does for one caller.
type work interface {
	// stage checks the work against the transaction and stages its changes. It is called again with the next
	// transaction if this one has no room left.
	stage(t *transaction) error
}

// request is one caller's work, and the channel for its result.
type request struct {
	ctx  context.Context
	work work
	err  error
	done chan error // buffered, for a caller that has left
}

// write is the writer: it takes the waiting requests and settles them, until the queue is closed.
func (s *Store) write() {
	defer close(s.done)
	group := make([]*request, 0, maxGroup)
	for r := range s.queue {
		group = append(group[:0], r)
		runtime.Gosched() // callers that were just answered return at once and can share this fsync
		for !s.alone && len(group) < maxGroup && len(s.queue) > 0 {
			group = append(group, <-s.queue)
		}
		for waiting := group; len(waiting) > 0; {
			waiting = s.settle(waiting)
		}
		s.prepareAhead()
	}
}

// prepareAhead prepares the log while no request waits. If that fails, the next commit reports it.
func (s *Store) prepareAhead() {
	for len(s.queue) == 0 && s.live.isShort() && s.writable() == nil {
		err := s.live.prepare(step)
		if errors.Is(err, errUnprepared) {
			return
		}
		if err != nil {
			_ = s.fail(err)
		}
	}
}

// settle executes as many of the first requests as fit into one Badger transaction, answers their callers, and returns
// the remaining requests.
func (s *Store) settle(requests []*request) []*request {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	taken, changes, size, err := s.fill(txn, requests)
	if err == nil && changes > 0 {
		err = s.commit(txn, changes, size)
	}
	for _, r := range requests[:taken] {
		// Even a failed check may have read something that was then not kept.
		if err != nil {
			r.err = err
		}
		r.done <- r.err
	}
	return requests[taken:]
}

// fill adds as many requests to the transaction as fit, at least one. It returns their number, how many of them change
// something, and how many bytes they take at most. An error concerns all of them.
func (s *Store) fill(txn *engine.Txn, requests []*request) (taken int, changes uint64, size int64, err error) {
	if err := s.writable(); err != nil {
		return len(requests), 0, 0, err
	}
	now := s.now()
	room, entries := s.db.MaxBatchSize()-1024, s.db.MaxBatchCount()-8 // minus what the store adds about itself
	for i, r := range requests {
		if r.err = r.ctx.Err(); r.err != nil {
			continue
		}
		t := &transaction{txn: txn, now: now, version: s.last + 1, horizon: s.horizon}
		if r.err = r.work.stage(t); r.err != nil {
			continue
		}
		more, count := t.footprint()
		if changes > 0 && (size+more > room || count > entries) {
			return i, changes, size, nil
		}
		if count == 0 {
			continue
		}
		if err := t.keep(); err != nil {
			return i + 1, 0, 0, s.fail(err)
		}
		s.last++
		changes++
		size, entries = size+more, entries-count
	}
	return len(requests), changes, size, nil
}

// commit makes the transaction durable. It includes the latest version, which may be in no remaining record, and, the
// first time, the schema, so that no single damaged place makes the store unreadable.
func (s *Store) commit(txn *engine.Txn, changes uint64, size int64) error {
	size += marks
	err := s.live.reserve(size)
	if errors.Is(err, errUnprepared) { // Badger has not written anything yet
		return unavailable("writing to %s: %w", s.dir, err)
	}
	if err == nil {
		err = txn.Set(aboutKey(aboutVersion), binary.BigEndian.AppendUint64(nil, uint64(s.last)))
	}
	if err == nil && !s.told {
		err = txn.Set(aboutKey(aboutSchema), binary.BigEndian.AppendUint64(nil, s.schema))
	}
	if err == nil {
		err = s.commitTxn(txn)
	}
	if err == nil {
		err = s.live.sync(size)
	}
	if err != nil {
		err = s.fail(err)
	}
	s.verdict.given(s.latest())
	if err != nil {
		return err
	}
	s.told = true
	s.batches.Add(changes)
	s.txns.Add(1)
	return nil
}

// writable returns why the writer cannot write now, if so.
func (s *Store) writable() error {
	if fault := s.fault.Load(); fault != nil {
		return *fault
	}
	return s.space.check()
}

// fail puts the store out of service after an error of Badger: some of what was being written may be on the disk or in
// Badger's tables, and some may not.
func (s *Store) fail(cause error) error {
	err := unavailable("writing to %s failed, and nothing is served from it until it is reopened: %w", s.dir, cause)
	s.fault.Store(&err)
	s.log.Error("the store failed and must be reopened", slog.String("dir", s.dir), slog.Any("error", cause))
	return err
}
