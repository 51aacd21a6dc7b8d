package store

import (
	"fmt"
	"time"
)

// ExpiredAt reports whether the record no longer exists at that time. Engines call it whenever they read a record,
// so that nothing depends on when expired records are deleted.
func (r *Record) ExpiredAt(now time.Time) bool {
	return !r.Expires.IsZero() && !now.Before(r.Expires)
}

// Size returns the bytes that the record counts towards MaxBatch: those of its key, value and names.
func (r *Record) Size() int {
	return len(r.Key) + len(r.Value) + len(r.Index) + len(r.Queue)
}

// Size returns the bytes that the batch counts towards MaxBatch: its records and the keys it deletes.
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

// Validate returns an ErrInvalid that names the fault if no engine accepts the batch. Every engine's Commit calls
// it first.
func (b Batch) Validate() error {
	if len(b.If) > MaxOps || len(b.Then) > MaxOps {
		return invalid("batch has %[3]d checks and %[4]d changes, want at most %[1]d and %[2]d", MaxOps, MaxOps, len(b.If), len(b.Then))
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
			return invalid("batch has two changes of key %q", key)
		}
		changed[key] = struct{}{}
	}
	if size := b.Size(); size > MaxBatch {
		return invalid("batch has %d bytes, want at most %d", size, MaxBatch)
	}
	return nil
}

// validate returns the key that the Op changes.
func (o Op) validate() (string, error) {
	if o.Put == nil {
		return o.Delete, ValidKeys(o.Delete)
	}
	if o.Delete != "" {
		return "", invalid("change both puts %q and deletes %q", o.Put.Key, o.Delete)
	}
	r := o.Put
	switch {
	case len(r.Value) > MaxValue:
		return "", invalid("value has %d bytes, want at most %d", len(r.Value), MaxValue)
	case len(r.Index) > MaxKey || len(r.Queue) > MaxKey:
		return "", invalid("name of an index or a queue is longer than %d bytes", MaxKey)
	case outOfRange(r.Expires) || outOfRange(r.Due):
		return "", invalid("record %q has a time before 1678 or after 2262", r.Key)
	}
	return r.Key, ValidKeys(r.Key)
}

// outOfRange reports whether a time does not fit into 64 bits of nanoseconds, in which engines store and sort it.
func outOfRange(t time.Time) bool {
	return !t.IsZero() && !time.Unix(0, t.UnixNano()).Equal(t)
}

// ValidKeys returns an ErrInvalid if a key is empty or too long.
func ValidKeys(keys ...string) error {
	for _, key := range keys {
		if err := validName("key", key); err != nil {
			return err
		}
	}
	return nil
}

// ValidClaim returns an ErrInvalid if no engine accepts these arguments of Claim.
func ValidClaim(queue string, n int, lease time.Duration) error {
	if n <= 0 || lease <= 0 {
		return invalid("claim of %d records with lease %v: both must be positive", n, lease)
	}
	return validName("queue", queue)
}

// ValidList returns an ErrInvalid if no engine accepts these arguments of List.
func ValidList(index, after string, limit int) error {
	if limit <= 0 || len(after) > MaxKey {
		return invalid("list needs a positive limit, and a start key of at most %d bytes", MaxKey)
	}
	return validName("index", index)
}

func validName(what, name string) error {
	if name == "" || len(name) > MaxKey {
		return invalid("%s must have 1 to %d bytes, got %d", what, MaxKey, len(name))
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
