// Package badger is the store that keeps everything in one local directory, with the embedded engine Badger. It is the
// default, for one node.
//
// Readers run concurrently, each on a snapshot. All changes go through one goroutine, the writer, which commits the
// requests that are waiting in one Badger transaction with one fsync:
//
//	Commit ─┐                      ┌ check, stage ┐
//	Commit ─┼─ queue (bounded) ──▶ │ check, stage │ ──▶ fsync ──▶ every answer
//	Claim  ─┘                      └ scan,  stage ┘
//
// Each batch sees the effects of the batches before it, and a batch whose check fails does not affect the others. No
// caller is told of success before the fsync. The blocks of the log are filled with zeros before Badger uses them, so
// that an fsync can be trusted even while a disk fails (see live).
//
// Correctness never depends on Badger's own deletion: each record has its expiry, which is compared with the injected
// clock; Badger's time to live only reclaims space later. The value log is never used, because a failed write to it
// would go unnoticed. After Badger fails to write, the state of the disk is unknown, so the store serves nothing until
// it is reopened, not even to reads in progress (see verdict).
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

// Options configures a Store. Only Dir is required.
type Options struct {
	Dir     string           // the directory; created if missing, and accessible to its owner only (0700)
	Now     func() time.Time // the clock; nil: time.Now
	Logger  *slog.Logger     // nil: slog.Default
	MinFree int64            // bytes that must be free on the disk for changes to be accepted; 0: DefaultMinFree
	Wait    time.Duration    // how long Open retries while another process is shutting down; 0: 5 s

	alone      bool                                // for tests: each batch in its own transaction
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

	mu      sync.RWMutex // read-locked while sending to the queue
	closed  bool
	stop    sync.Once
	closing chan struct{}         // closed by stop, when Close begins
	readers sync.WaitGroup        // readers of the engine
	fault   atomic.Pointer[error] // why the store has failed for good
	queue   chan *request
	done    chan struct{} // closed when the writer has ended

	batches, txns atomic.Uint64 // see Stats

	// Used by the writer only: the latest version assigned, and for some queues a time before which nothing in them
	// is due. Without that time each claim would scan everything ever taken from its queue, until Badger reclaims it.
	last    store.Version
	horizon map[string]uint64
	schema  uint64
	told    bool // the schema was written since the store was opened
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Dumper = (*Store)(nil)
)

// Stats counts since the store was opened.
type Stats struct {
	Batches      uint64 // Commits and Claims that changed something
	Transactions uint64 // Badger transactions they took, of one fsync each
}

// Stats returns the current counts.
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

// handOver calls each with a stored record, unless it has expired.
func handOver(item *engine.Item, now time.Time, each func(store.Record) error) error {
	var failed error // the caller's, as opposed to the engine's
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
		closed <- errors.Join(unmarkOpen(s.dir), s.closeEngine()) // in this order: a closed log without the mark loses nothing
	}()
	select {
	case err := <-closed:
		if err != nil {
			return unavailable("closing %s: %w", s.dir, err)
		}
		return nil
	case <-time.After(s.patience):
		return unavailable("closing %s did not end within %s and was given up; everything acknowledged is in its logs and is read from there at the next start", s.dir, s.patience)
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

// DefaultPatience is how long Close waits for an unresponsive disk, for the caller of Dump, and for Badger, which
// retries for ever to write its memory to a table, even if the disk accepts nothing any more. Such a table only
// speeds up reading: the logs have all of it.
const DefaultPatience = 30 * time.Second

// read runs a function on a snapshot.
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

// enter registers a reader; Close does not close the engine before it has left. A long read blocks nobody else.
func (s *Store) enter() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	s.readers.Add(1)
	return nil
}

// change passes work to the writer and waits for the result.
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

// enqueue holds the lock while it waits for room, so that Close cannot close the queue meanwhile.
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

// usable returns why the store cannot be used, if so. The lock must be held.
func (s *Store) usable() error {
	if s.closed {
		return errClosed
	}
	if fault := s.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

var errClosed = unavailable("store is closed")

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrUnavailable, fmt.Errorf(format, args...))
}

// ErrDamaged is wrapped by the errors about damaged contents: of a store that is not opened because its files are
// damaged (see Inspect and Repair), or of a record.
var ErrDamaged = errors.New("damaged")
