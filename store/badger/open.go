package badger

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	tables "github.com/dgraph-io/badger/v4/options"

	"github.com/seed-dd2befc3/countersign/store"
)

// The names of what the store records about itself. Each value is a number of 8 bytes.
const (
	aboutSchema  = "schema"
	aboutVersion = "version" // the latest version assigned
)

// Open opens the store in a directory, or creates one. It retries until Wait is over or the context ends, because a
// process that is shutting down may still hold the directory, and a crash may have left a file half-written, which
// Badger completes at the first attempt and opens at the second.
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
	if o.commit == nil {
		o.commit = (*engine.Txn).Commit
	}
	dir, err := prepareDir(o.Dir, o.Logger)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir:   dir,
		now:   o.Now,
		log:   o.Logger,
		space: space{dir: dir, min: uint64(max(o.MinFree, 0)), free: o.free},
		alone: o.alone,

		patience: cmp.Or(o.patience, DefaultPatience),

		commitTxn: o.commit,

		queue:   make(chan *request, maxGroup),
		done:    make(chan struct{}),
		closing: make(chan struct{}),
		horizon: map[string]uint64{},
	}
	if err := s.space.check(); err != nil {
		return nil, err
	}
	s.verdict = newVerdict(math.MaxUint64) // until the writer starts, no commit is in progress
	if err := s.openEngine(ctx, o, tuned(dir, o.Logger)); err != nil {
		return nil, err
	}
	if err := s.readAbout(ctx, o); err != nil {
		return nil, errors.Join(err, s.closeEngine())
	}
	if err := markOpen(dir); err != nil {
		return nil, errors.Join(unavailable("marking %s as open: %w", dir, err), s.closeEngine())
	}
	s.verdict = newVerdict(s.latest())
	go s.write()
	return s, nil
}

// openEngine opens Badger, and prepares its log unless Badger syncs its files itself.
func (s *Store) openEngine(ctx context.Context, o Options, e engine.Options) error {
	if o.tune != nil {
		e = o.tune(e)
	}
	db, losses, err := openPatiently(ctx, spoiled(e), o.Wait)
	if err != nil {
		return err
	}
	for _, l := range losses {
		s.log.Warn("dropped the end of a log: a write interrupted by a crash before it was acknowledged, or the last write, damaged",
			slog.String("dir", s.dir), slog.String("file", l.File), slog.Int("bytes", l.Bytes), slog.Int("offset", l.Offset))
	}
	s.db, s.live = db, &live{}
	if e.SyncWrites || unsynced() {
		return nil
	}
	if err = db.Sync(); err == nil { // includes the value log, which is never written
		s.live, err = follow(s.dir)
	}
	if err != nil {
		return errors.Join(unavailable("preparing the log in %s: %w", s.dir, err), db.Close())
	}
	return nil
}

func (s *Store) closeEngine() error { return errors.Join(s.live.close(), s.db.Close()) }

// latest returns Badger's timestamp of the last commit. The writer must be idle.
func (s *Store) latest() uint64 {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	return txn.ReadTs()
}

// tuned returns Badger's options for small durable records in a process with other work to do.
func tuned(dir string, log *slog.Logger) engine.Options {
	o := engine.DefaultOptions(dir).
		WithLogger(bridge{log}).
		WithMetricsEnabled(false).
		WithSyncWrites(!syncsItself). // see live
		WithDetectConflicts(false).   // only the writer commits
		// A flipped bit in a table is an error at the start, not when the record is read.
		WithChecksumVerificationMode(tables.OnTableAndBlockRead).
		// The value log is never written, because all values are below the threshold of 1 MiB.
		WithValueLogFileSize(1 << 20)
		// Memory: 15 % of a memtable bounds a transaction, which must hold MaxBatch and the places of MaxOps. Besides the
		// one being written and the one being flushed, only one may wait. Compressing them would double the time of a
		// flush for little gain, as callers compress. Without a cache the indices of all tables would stay in memory.
	o = o.WithMemTableSize(24 << 20).WithNumMemtables(1).
		WithCompression(tables.None).
		WithBlockCacheSize(16 << 20).WithIndexCacheSize(16 << 20)
	// Disk: each table of level zero is a flushed memtable, and merging few of them needs little room (see
	// DefaultMinFree). Badger needs at least two compactors.
	return o.WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(8).WithNumCompactors(2)
}

// openPatiently opens Badger once the logs were found whole, and retries until wait is over.
func openPatiently(ctx context.Context, o engine.Options, wait time.Duration) (*engine.DB, []Loss, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		db, losses, err := openWhole(o)
		if err == nil {
			return db, losses, nil
		}
		if errors.Is(err, ErrDamaged) { // retrying cannot help
			return nil, nil, explain(o.Dir, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, explain(o.Dir, err)
		}
	}
}

// openWhole opens Badger unless that would drop something acknowledged.
func openWhole(o engine.Options) (*engine.DB, []Loss, error) {
	losses, err := Inspect(o.Dir)
	if err != nil {
		return nil, nil, err
	}
	losses = heeded(losses)
	for _, l := range losses {
		if l.Damage && InUse(o.Dir) { // a log that another process writes to may only look damaged
			return nil, nil, errInUse
		}
		if l.Damage {
			return nil, nil, fmt.Errorf("%w: %s", ErrDamaged, l)
		}
	}
	db, err := engine.Open(o)
	return db, losses, err
}

// explain adds to the error of a directory that was not opened what to do about it.
func explain(dir string, err error) error {
	switch {
	case isLocked(err):
		return unavailable("%s is in use by another process (or another part of this one): each store needs a directory of its own", dir)
	case errors.Is(err, ErrDamaged):
		return unavailable("opening %s: %w. Restore a backup, or give up what is lost there: caddy countersign store repair", dir, err)
	case strings.Contains(err.Error(), "checksum"):
		return unavailable("opening %s: %w: %w. Restore a backup", dir, ErrDamaged, err)
	}
	return unavailable("opening %s: %w", dir, err)
}

// errInUse means that another process, or another Store, has the directory open.
var errInUse = errors.New("the store is in use")

// isLocked matches Badger's error text, because there is no error value for it.
func isLocked(err error) bool {
	return errors.Is(err, errInUse) || strings.Contains(err.Error(), "directory lock") || strings.Contains(err.Error(), "lock file")
}

// readAbout reads what the store records about itself and updates it, or writes it to a new store.
func (s *Store) readAbout(ctx context.Context, o Options) error {
	var schema uint64
	if o.migrations == nil {
		o.migrations = migrations
	}
	latest := uint64(len(o.migrations)) + 1
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
		return unavailable("reading the schema of %s: %w", s.dir, err)
	case schema > latest:
		return unavailable("%s was written by a newer version of this program (schema %d, this one supports %d): run that version, or restore a backup made before it", s.dir, schema, latest)
	case schema == 0 && s.last != 0:
		return unavailable("%s: %w: its schema is not recorded any more. Restore a backup", s.dir, ErrDamaged)
	case schema == 0:
		err = s.begin(latest)
	case schema < latest:
		err = s.migrate(ctx, schema, o)
	}
	s.schema = latest
	return err
}

// begin marks an empty database as a store.
func (s *Store) begin(schema uint64) error {
	err := s.db.Update(func(txn *engine.Txn) error {
		t := transaction{txn: txn}
		for range t.names(nil, nil) {
			return errors.New("the database has other contents")
		}
		return txn.Set(aboutKey(aboutSchema), binary.BigEndian.AppendUint64(nil, schema))
	})
	if err == nil {
		err = s.live.sync(marks)
	}
	if err != nil {
		return unavailable("initialising a store in %s: %w", s.dir, err)
	}
	return nil
}

// about returns a number that the store records about itself, or zero.
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
		err = fmt.Errorf("%w: %s", ErrDamaged, name)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}
