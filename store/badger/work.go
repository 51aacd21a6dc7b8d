package badger

import (
	"slices"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// commit is a batch for the writer. It has copies of everything its caller might modify meanwhile.
type commit struct {
	checks  []store.Check
	changes []change
}

// change puts a record, or removes it if encoded is nil.
type change struct {
	record  store.Record // without its value
	encoded []byte
}

func newCommit(batch store.Batch) *commit {
	c := &commit{checks: slices.Clone(batch.If), changes: make([]change, len(batch.Then))}
	for i, op := range batch.Then {
		if op.Put == nil {
			c.changes[i].record.Key = op.Delete
			continue
		}
		c.changes[i] = change{record: *op.Put, encoded: encode(op.Put)}
		c.changes[i].record.Value = nil
	}
	return c
}

func (c *commit) stage(t *transaction) error {
	for _, check := range c.checks {
		r, err := t.alive(check.Key)
		if err != nil {
			return err
		}
		if r.Version != check.Version {
			return &store.Conflict{Check: check}
		}
	}
	for i := range c.changes {
		if err := c.changes[i].stage(t); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) stage(t *transaction) error {
	if c.encoded == nil {
		return t.remove(c.record.Key)
	}
	return t.put(&c.record, c.encoded)
}

// claim is a call of Claim for the writer, and its result.
type claim struct {
	queue   string
	n       int // at most store.MaxOps
	lease   time.Duration
	claimed []store.Record
}

// maxCleared bounds how many expired records one claim deletes. It skips the others.
const maxCleared = 128

func (c *claim) stage(t *transaction) error {
	c.claimed = nil
	now, first := ticks(t.now), uint64(never)
	size, cleared := 0, 0
	for place := range t.names(hashed(queuePrefix, c.queue), queueFrom(c.queue, t.horizon[c.queue])) {
		due, key := splitQueueKey(place)
		first = min(first, due)
		if due > now || len(c.claimed) == c.n {
			break
		}
		r, err := t.stored(key)
		if err != nil {
			return err
		}
		if r.ExpiredAt(t.now) && cleared < maxCleared {
			cleared++
			if err := t.remove(key); err != nil {
				return err
			}
		}
		if r.ExpiredAt(t.now) || r.Queue != c.queue || ticks(r.Due) != due {
			continue
		}
		if size += r.Size(); size > store.MaxBatch {
			break
		}
		if err := c.take(t, r); err != nil {
			return err
		}
	}
	if len(t.horizon) == maxHorizons {
		clear(t.horizon)
	}
	t.horizon[c.queue] = first
	return nil
}

// take stages that a record is due again when the lease runs out.
func (c *claim) take(t *transaction, r store.Record) error {
	r.Due = t.now.Add(c.lease).Round(0).UTC()
	r.Version = t.version
	c.claimed = append(c.claimed, r)
	return t.put(&r, encode(&r))
}
