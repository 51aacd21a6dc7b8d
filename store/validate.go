package store

import (
	"fmt"
	"time"
)

// ExpiredAt says whether the record does not exist any more at that time. Engines ask it whenever they meet a
// record, so that nothing depends on when an expired one is cleared away.
func (r *Record) ExpiredAt(now time.Time) bool {
	return !r.Expires.IsZero() && !now.Before(r.Expires)
}

// Size is what the record counts against MaxBatch: the bytes of its key, its value and its names.
func (r *Record) Size() int {
	return len(r.Key) + len(r.Value) + len(r.Index) + len(r.Queue)
}

// Size is what the batch counts against MaxBatch: its records, and the keys that it deletes.
func (b Batch) Size() int {
	size := 0
	for _, op := range b.Then {
		size += len(op.Delete)
		if op.Put != nil {
			size += op.Put.Size()
		}
	}
	return size
}

// Validate returns an ErrInvalid that names the fault if no engine would take the batch. Every engine's Commit
// begins with it.
func (b Batch) Validate() error {
	if len(b.If) > MaxOps || len(b.Then) > MaxOps {
		return invalid("a batch has at most %d checks and %d changes, not %d and %d", MaxOps, MaxOps, len(b.If), len(b.Then))
	}
	for _, check := range b.If {
		if err := ValidKeys(check.Key); err != nil {
			return err
		}
	}
	changed := make(map[string]struct{}, len(b.Then))
	for _, op := range b.Then {
		key, err := op.validate()
		if err != nil {
			return err
		}
		if _, twice := changed[key]; twice {
			return invalid("two changes of %q in one batch", key)
		}
		changed[key] = struct{}{}
	}
	if size := b.Size(); size > MaxBatch {
		return invalid("a batch of %d bytes is over the limit of %d", size, MaxBatch)
	}
	return nil
}

// validate returns the key that the Op is about.
func (o Op) validate() (string, error) {
	if o.Put == nil {
		return o.Delete, ValidKeys(o.Delete)
	}
	if o.Delete != "" {
		return "", invalid("a change that both puts %q and deletes %q", o.Put.Key, o.Delete)
	}
	r := o.Put
	switch {
	case len(r.Value) > MaxValue:
		return "", invalid("a value of %d bytes is over the limit of %d", len(r.Value), MaxValue)
	case len(r.Index) > MaxKey || len(r.Queue) > MaxKey:
		return "", invalid("the name of an index or a queue is over the limit of %d bytes", MaxKey)
	case outOfRange(r.Expires) || outOfRange(r.Due):
		return "", invalid("%q has an instant before 1678 or after 2262", r.Key)
	}
	return r.Key, ValidKeys(r.Key)
}

// outOfRange says whether an instant does not fit into 64 bits of nanoseconds, which is how engines keep and sort it.
func outOfRange(t time.Time) bool {
	return !t.IsZero() && !time.Unix(0, t.UnixNano()).Equal(t)
}

// ValidKeys returns an ErrInvalid if one of the keys is empty or too long.
func ValidKeys(keys ...string) error {
	for _, key := range keys {
		if err := validName("key", key); err != nil {
			return err
		}
	}
	return nil
}

// ValidClaim returns an ErrInvalid if no engine would take these arguments of Claim.
func ValidClaim(queue string, n int, lease time.Duration) error {
	if n <= 0 || lease <= 0 {
		return invalid("a claim needs a positive number and a positive lease, not %d and %v", n, lease)
	}
	return validName("queue", queue)
}

// ValidList returns an ErrInvalid if no engine would take these arguments of List.
func ValidList(index, after string, limit int) error {
	if limit <= 0 || len(after) > MaxKey {
		return invalid("a list needs a positive limit, and at most %d bytes of key to start after", MaxKey)
	}
	return validName("index", index)
}

func validName(what, name string) error {
	if name == "" || len(name) > MaxKey {
		return invalid("a %s has 1 to %d bytes, not %d", what, MaxKey, len(name))
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
