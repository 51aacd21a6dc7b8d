// Package badger is the store that keeps everything in one directory of the machine it runs on, by the embedded
// engine Badger. It is the default, for one node.
//
// Readers work side by side, each on the state of one moment. All changes go through one goroutine, the writer,
// which settles what has arrived meanwhile in one Badger transaction with one fsync:
//
//	Commit ─┐                      ┌ check, stage ┐
//	Commit ─┼─ queue (bounded) ──▶ │ check, stage │ ──▶ fsync ──▶ every answer
//	Claim  ─┘                      └ scan,  stage ┘
//
// Each batch sees what the batches before it did, and one whose check fails takes nothing from the others. No
// caller hears of success before the fsync. The blocks of the log are written with zeros before Badger uses them, so that
// the fsync can be believed even while a disk fails (see live).
//
// Nothing rests on Badger's own deletion: expiry stands in the record and is compared with the clock that was
// handed in; Badger's time to live only clears away, later. The value log is never used, since a failed write to it
// would go unseen. After a write that failed in Badger, nothing can be said about what is on the disk, so the store
// serves nothing any more until it is opened again, not even to those who began to read before (see verdict).
package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/store"
)

// Options are the settings of a Store. Only Dir is needed.
type Options struct {
	Dir     string           // the directory; made if it is missing, and kept to its owner (0700)
	Now     func() time.Time // the clock; nil: time.Now
	Logger  *slog.Logger     // nil: slog.Default
	MinFree int64            // bytes free on the disk below which changes are refused; 0: DefaultMinFree
	Wait    time.Duration    // how long Open keeps trying, for a process that is just ending; 0: 5 s

	alone      bool                                // for tests: each batch in a transaction of its own
	tune       func(engine.Options) engine.Options // for tests: nil: as tuned
	free       func(dir string) (uint64, error)    // for tests: nil: freeBytes
	migrations []migration                         // for tests: nil: migrations
	commit     func(*engine.Txn) error             // for tests: nil: engine.Txn.Commit
	patience   time.Duration                       // for tests: 0: DefaultPatience
}

// Store is a store.Store in a directory.
type Store struct {
	db    *engine.DB
	live  *live
	dir   string
	now   func() time.Time
	log   *slog.Logger
	space space
	alone bool // see Options

	patience time.Duration // see DefaultPatience

	commitTxn func(*engine.Txn) error // see Options
	verdict   *verdict

	mu      sync.RWMutex // held for reading while the queue is sent to
	closed  bool
	stop    sync.Once
	closing chan struct{}         // closed by stop, when Close begins
	readers sync.WaitGroup        // who reads the engine
	fault   atomic.Pointer[error] // why nothing can be trusted any more
	queue   chan *request
	done    chan struct{} // closed when the writer has ended

	batches, txns atomic.Uint64 // see Stats

	// What only the writer touches: the latest version that was given out, and for some queues a time before which
	// nothing in them is due. Without it each claim would pass all that was ever taken from the head of its queue,
	// until Badger clears it away.
	last    store.Version
	horizon map[string]uint64
	schema  uint64
	told    bool // the schema, since the store was opened
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Dumper = (*Store)(nil)
)

// Stats are counts since the store was opened.
type Stats struct {
	Batches      uint64 // Commits and Claims that changed something
	Transactions uint64 // Badger transactions, of one fsync each, that they took
}

// Stats returns the counts as they stand.
func (s *Store) Stats() Stats {
	return Stats{Batches: s.batches.Load(), Transactions: s.txns.Load()}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := store.ValidKeys(keys...); err != nil {
		return nil, err
	}
	records := make([]store.Record, len(keys))
	err := s.read(ctx, func(t *transaction) error {
		for i, key := range keys {
			r, err := t.alive(key)
			if err != nil {
				return err
			}
			records[i] = r
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, index, after string, limit int) ([]store.Record, error) {
	if err := store.ValidList(index, after, limit); err != nil {
		return nil, err
	}
	var records []store.Record
	err := s.read(ctx, func(t *transaction) error {
		prefix := indexKey(index, "")
		for name := range t.names(prefix, append(indexKey(index, after), 0)) {
			if len(records) == limit {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := t.alive(string(name[len(prefix):]))
			if err != nil {
				return err
			}
			if r.Version != 0 && r.Index == index {
				records = append(records, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Dump implements store.Dumper.
func (s *Store) Dump(ctx context.Context, each func(store.Record) error) error {
	return s.read(ctx, func(t *transaction) error {
		it := t.txn.NewIterator(engine.IteratorOptions{Prefix: []byte{recordPrefix}, PrefetchValues: true, PrefetchSize: 16})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := handOver(it.Item(), t.now, each); err != nil {
				return err
			}
			if s.isClosing() {
				return errClosed
			}
		}
		return nil
	})
}

// handOver gives a stored record to a function, unless it has expired.
func handOver(item *engine.Item, now time.Time, each func(store.Record) error) error {
	var failed error // of the function, which is not the engine's
	err := item.Value(func(b []byte) error {
		r, err := decode(string(item.Key()[1:]), b)
		if err == nil && !r.ExpiredAt(now) {
			failed = each(r)
		}
		return err
	})
	if err != nil {
		return unavailable("reading a record: %w", err)
	}
	return failed
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, batch store.Batch) error {
	if err := batch.Validate(); err != nil {
		return err
	}
	return s.change(ctx, newCommit(batch))
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]store.Record, error) {
	if err := store.ValidClaim(queue, n, lease); err != nil {
		return nil, err
	}
	c := &claim{queue: queue, n: min(n, store.MaxOps), lease: lease}
	if err := s.change(ctx, c); err != nil {
		return nil, err
	}
	return c.claimed, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.stop.Do(func() { close(s.closing) })
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.queue)
	s.mu.Unlock()

	closed := make(chan error, 1)
	go func() {
		<-s.done
		s.readers.Wait()
		closed <- errors.Join(unmarkOpen(s.dir), s.closeEngine()) // in this order: a log without the mark is no loss
	}()
	select {
	case err := <-closed:
		if err != nil {
			return unavailable("closing %s: %w", s.dir, err)
		}
		return nil
	case <-time.After(s.patience):
		return unavailable("closing %s took longer than %s and was given up; what was acknowledged is in its logs, and is read from there at the next start", s.dir, s.patience)
	}
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// DefaultPatience is how long Close waits: for a disk that does not answer, for who hands on a dump, and for Badger,
// which tries for ever to write what it has in memory as a table, also where the disk takes nothing any more. That table
// is only faster to read: the logs have all of it.
const DefaultPatience = 30 * time.Second

// read runs a function on the state of one moment.
func (s *Store) read(ctx context.Context, run func(*transaction) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.readers.Done()
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	if err := s.verdict.await(ctx, txn.ReadTs()); err != nil {
		return err
	}
	if fault := s.fault.Load(); fault != nil {
		return *fault
	}
	return run(&transaction{txn: txn, now: s.now()})
}

// enter counts one more reader, before whom Close does not close the engine. A long reading holds up nobody else.
func (s *Store) enter() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	s.readers.Add(1)
	return nil
}

// change hands work to the writer and waits for its outcome.
func (s *Store) change(ctx context.Context, w work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, work: w, done: make(chan error, 1)}
	if err := s.enqueue(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue holds the lock while it waits for room, so that Close does not close the queue under it.
func (s *Store) enqueue(r *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	select {
	case s.queue <- r:
		return nil
	case <-s.closing:
		return errClosed
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// usable is asked with the lock held.
func (s *Store) usable() error {
	if s.closed {
		return errClosed
	}
	if fault := s.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

var errClosed = unavailable("it is closed")

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrUnavailable, fmt.Errorf(format, args...))
}

// ErrDamaged is what the error unwraps to when what the store kept does not read as such: a store that is not opened
// because of damage to its files (see Inspect and Repair), or a record.
var ErrDamaged = errors.New("damaged")
