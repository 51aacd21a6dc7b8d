package postgres

import (
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-dd2befc3/countersign/store"
)

// atOnce is the due time of a record that was always due.
const atOnce = math.MinInt64

// ticks returns a time as a row stores it: in nanoseconds since 1970.
func ticks(t time.Time) int64 {
	if t.IsZero() {
		return atOnce
	}
	return t.UnixNano()
}

func instant(ticks int64) time.Time {
	if ticks == atOnce {
		return time.Time{}
	}
	return time.Unix(0, ticks).UTC()
}

// record reads a row that has only a record.
func record(row pgx.CollectableRow) (store.Record, error) { return scan(row) }

// scan reads the columns of a record, in the order of newStatements, and then further columns into more.
func scan(row pgx.CollectableRow, more ...any) (store.Record, error) {
	var (
		key, queue, index []byte
		version           int64
		expires, due      *int64
		r                 store.Record
	)
	into := []any{&key, &version, &r.Value, &expires, &queue, &due, &index}
	if err := row.Scan(append(into, more...)...); err != nil {
		return r, err
	}
	r.Key, r.Queue, r.Index = string(key), string(queue), string(index)
	r.Version = store.Version(version) //nolint:gosec // from a sequence, so it is positive
	if expires != nil {
		r.Expires = instant(*expires)
	}
	if due != nil {
		r.Due = instant(*due)
	}
	return r, nil
}

// columns returns the arguments that put a record.
func columns(r *store.Record) []any {
	var expires, due *int64
	if !r.Expires.IsZero() {
		t := ticks(r.Expires)
		expires = &t
	}
	if r.Queue != "" {
		t := ticks(r.Due)
		due = &t
	}
	return []any{[]byte(r.Key), append([]byte{}, r.Value...), expires, nullable(r.Queue), due, nullable(r.Index)}
}

// nullable returns a name, or NULL if it is empty, so that no index has an entry for it.
func nullable(name string) []byte {
	if name == "" {
		return nil
	}
	return []byte(name)
}

func byteStrings(texts []string) [][]byte {
	out := make([][]byte, len(texts))
	for i, text := range texts {
		out[i] = []byte(text)
	}
	return out
}
