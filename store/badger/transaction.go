package badger

import (
	"errors"
	"iter"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/store"
)

// transaction reads records of one snapshot. In the writer it also collects the changes of one piece of work, which are
// staged until all of that work is known to succeed.
type transaction struct {
	txn *engine.Txn
	now time.Time

	version store.Version     // assigned to the records of this work
	horizon map[string]uint64 // see Store
	deleted [][]byte          // staged deletions, applied before the puts
	staged  []*engine.Entry
}

// grace is how long Badger keeps expired records: it uses the machine's clock, which may be set back a little.
const grace = 10 * time.Minute

// encoded returns a copy of a record's encoding, or nil.
func (t *transaction) encoded(key string) ([]byte, error) {
	item, err := t.txn.Get(recordKey(key))
	if errors.Is(err, engine.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable("reading a record: %w", err)
	}
	b, err := item.ValueCopy(nil)
	if err != nil {
		return nil, unavailable("reading a record: %w", err)
	}
	return b, nil
}

// stored returns a record, expired or not. If there is none, it has only its key.
func (t *transaction) stored(key string) (store.Record, error) {
	b, err := t.encoded(key)
	if b == nil || err != nil {
		return store.Record{Key: key}, err
	}
	r, err := decode(key, b)
	if err != nil {
		return r, unavailable("%w", err)
	}
	return r, nil
}

// alive returns a record that has not expired. If there is none, it has only its key.
func (t *transaction) alive(key string) (store.Record, error) {
	r, err := t.stored(key)
	if err != nil || r.ExpiredAt(t.now) {
		return store.Record{Key: key}, err
	}
	return r, nil
}

// names iterates over Badger's keys with a prefix, in order, starting at from. Each is valid until the next one.
func (t *transaction) names(prefix, from []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		it := t.txn.NewIterator(engine.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Seek(from); it.Valid(); it.Next() {
			if !yield(it.Item().Key()) {
				return
			}
		}
	}
}

// put stages a record with its places, and removes the places of the record it replaces.
func (t *transaction) put(r *store.Record, encoded []byte) error {
	if err := t.leave(r.Key); err != nil {
		return err
	}
	setVersion(encoded, t.version)
	t.stage(r, recordKey(r.Key), encoded)
	if r.Index != "" {
		t.stage(r, indexKey(r.Index, r.Key), nil)
	}
	if r.Queue != "" {
		due := ticks(r.Due)
		t.stage(r, queueKey(r.Queue, due, r.Key), nil)
		if from, known := t.horizon[r.Queue]; known {
			t.horizon[r.Queue] = min(from, due)
		}
	}
	return nil
}

// remove stages the removal of a record, if it exists.
func (t *transaction) remove(key string) error {
	t.deleted = append(t.deleted, recordKey(key))
	return t.leave(key)
}

// leave stages the removal of the places of the current record.
func (t *transaction) leave(key string) error {
	old, err := t.stored(key)
	if err != nil {
		return err
	}
	if old.Index != "" {
		t.deleted = append(t.deleted, indexKey(old.Index, key))
	}
	if old.Queue != "" {
		t.deleted = append(t.deleted, queueKey(old.Queue, ticks(old.Due), key))
	}
	return nil
}

// stage adds an entry that Badger may reclaim some time after the record has expired.
func (t *transaction) stage(r *store.Record, key, value []byte) {
	e := engine.NewEntry(key, value)
	if !r.Expires.IsZero() {
		// Badger uses the machine's clock, so its expiry is computed from the time the record has left by ours.
		left := min(r.Expires.Sub(t.now), 100*365*24*time.Hour)
		e.WithTTL(max(left, 0) + grace)
	}
	t.staged = append(t.staged, e)
}

// overhead is at least what Badger adds to the size of an entry in a transaction.
const overhead = 32

// footprint returns the size of the staged changes, in Badger's bytes and entries.
func (t *transaction) footprint() (bytes, entries int64) {
	for _, e := range t.staged {
		bytes += int64(len(e.Key) + len(e.Value) + overhead)
	}
	for _, key := range t.deleted {
		bytes += int64(len(key) + overhead)
	}
	return bytes, int64(len(t.staged) + len(t.deleted))
}

// keep adds the staged changes to the Badger transaction.
func (t *transaction) keep() error {
	for _, key := range t.deleted {
		if err := t.txn.Delete(key); err != nil {
			return err
		}
	}
	for _, e := range t.staged {
		if err := t.txn.SetEntry(e); err != nil {
			return err
		}
	}
	return nil
}
