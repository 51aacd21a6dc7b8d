package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	tables "github.com/dgraph-io/badger/v4/options"

	"github.com/seed-dd2befc3/countersign/store"
)

// Schema is the form in which this version keeps its records. A store of a newer one is not opened.
const Schema = 1

// What the store keeps about itself, each a number of 8 bytes.
const (
	aboutSchema  = "schema"
	aboutVersion = "version" // the latest that was given out
)

// Open opens the store in a directory, or makes one there. While it fails it tries again, until Wait is over or the
// context ends: a process that is just ending may still hold the directory, and a crash may have left a file half
// made, which Badger completes at the first attempt and opens at the second.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MinFree == 0 {
		o.MinFree = DefaultMinFree
	}
	if o.Wait == 0 {
		o.Wait = 5 * time.Second
	}
	if o.free == nil {
		o.free = freeBytes
	}
	dir, err := prepareDir(o.Dir, o.Logger)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir:     dir,
		now:     o.Now,
		log:     o.Logger,
		space:   space{dir: dir, min: uint64(max(o.MinFree, 0)), free: o.free},
		alone:   o.alone,
		queue:   make(chan *request, maxGroup),
		done:    make(chan struct{}),
		horizon: map[string]uint64{},
	}
	if err := s.space.check(); err != nil {
		return nil, err
	}
	if s.db, err = openEngine(ctx, tuned(dir, o.Logger), o.Wait); err != nil {
		return nil, err
	}
	if err := s.readAbout(); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	go s.write()
	return s, nil
}

// tuned are Badger's settings for small records, kept durably, by a process that does other things too.
func tuned(dir string, log *slog.Logger) engine.Options {
	o := engine.DefaultOptions(dir).
		WithLogger(bridge{log}).
		WithMetricsEnabled(false).
		WithSyncWrites(true).
		WithDetectConflicts(false). // the writer is alone
		// A flipped bit in a table is an error, not a value.
		WithChecksumVerificationMode(tables.OnBlockRead).
		// The value log is never written, for all values are below the threshold of 1 MiB.
		WithValueLogFileSize(1 << 20)
	// Memory: 15 % of a memtable bounds a transaction, which must hold MaxBatch and the places of MaxOps. Beside the
	// one being written and the one being flushed only one may wait. Compressing them doubles what a flush takes, and
	// gains little on what the callers have compressed. The indices of all tables would otherwise stay in memory.
	o = o.WithMemTableSize(24 << 20).WithNumMemtables(1).
		WithCompression(tables.None).
		WithBlockCacheSize(16 << 20).WithIndexCacheSize(16 << 20)
	// Disk: each table of level zero is a flushed memtable, and merging few needs little room (see DefaultMinFree).
	// Two compactors are the fewest that Badger takes.
	return o.WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(8).WithNumCompactors(2)
}

// openEngine opens Badger, with patience.
func openEngine(ctx context.Context, o engine.Options, wait time.Duration) (*engine.DB, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		db, err := engine.Open(o)
		if err == nil {
			return db, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if isLocked(err) {
				return nil, unavailable("%s is in use by another process (or another part of this one): each store needs a directory of its own", o.Dir)
			}
			return nil, unavailable("opening %s: %w", o.Dir, err)
		}
	}
}

// isLocked goes by Badger's words, for it has no error value for it.
func isLocked(err error) bool {
	return strings.Contains(err.Error(), "directory lock") || strings.Contains(err.Error(), "lock file")
}

// readAbout reads what the store keeps about itself, or begins it in a new one.
func (s *Store) readAbout() error {
	var schema uint64
	err := s.db.View(func(txn *engine.Txn) (err error) {
		if schema, err = about(txn, aboutSchema); err != nil {
			return err
		}
		last, err := about(txn, aboutVersion)
		s.last = store.Version(last)
		return err
	})
	switch {
	case err != nil:
		return unavailable("reading what %s is: %w", s.dir, err)
	case schema > Schema:
		return unavailable("%s was written by a newer version of this program (schema %d, this one knows %d): run that version, or restore a backup made before it", s.dir, schema, Schema)
	case schema == 0:
		return s.begin()
	}
	return nil
}

// begin marks an empty database as a store.
func (s *Store) begin() error {
	err := s.db.Update(func(txn *engine.Txn) error {
		t := transaction{txn: txn}
		for range t.names(nil, nil) {
			return errors.New("it holds something else")
		}
		return txn.Set(aboutKey(aboutSchema), binary.BigEndian.AppendUint64(nil, Schema))
	})
	if err != nil {
		return unavailable("beginning a store in %s: %w", s.dir, err)
	}
	return nil
}

// about returns one number that the store keeps about itself, or zero.
func about(txn *engine.Txn, name string) (uint64, error) {
	item, err := txn.Get(aboutKey(name))
	if errors.Is(err, engine.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	b, err := item.ValueCopy(nil)
	if err == nil && len(b) != 8 {
		err = fmt.Errorf("%w: %s", errDamaged, name)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}
