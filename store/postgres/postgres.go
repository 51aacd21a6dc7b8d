// Package postgres is the store that several nodes share: one PostgreSQL database, or one that speaks its protocol.
// It is the only package that imports pgx.
//
// A record is a row. Every promise rests on row locks, which all nodes take in one order:
//
//	Commit   begin ─ for each key in order: lock its version or its place, then put or delete ─ examine ─ commit
//	Claim    one statement: lock due rows that nobody else has locked, move their due time
//	Get      one statement, hence one snapshot
//	List     one statement
//
// A Commit is sent as one pipeline. A Commit with checks examines the results before it sends the commit, so that a
// failed check is not an error on the server, which would log it. Two nodes that insert the same key meet in the
// unique index of keys, where the second waits and then finds the row of the first: a check that a record does not
// exist is exact.
//
// Correctness never depends on deletion: each row has its expiry, which is compared with the injected clock. Every
// node deletes rows that expired long ago in small batches in the background, skipping rows that are locked.
//
// Failures are store.ErrUnavailable. Until Options.Wait is over, a call is retried after failures that certainly
// changed nothing: no connection, a serialisation failure, a deadlock. A commit with an unknown outcome, because the
// connection was lost before the answer, is not retried and never reported as success.
package postgres

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-dd2befc3/countersign/store"
)

// Options configures a Store. Only DSN is required.
type Options struct {
	// DSN is the address of the database and the credentials, in the form of libpq: postgres://user:password@host:5432/name
	// or "host=… user=…". It may have parameters of pgx, such as pool_max_conns (default here 16), or
	// default_query_exec_mode=exec behind a PgBouncer without prepared statements. It is never logged, and no
	// error contains its password.
	DSN    string
	Schema string           // the schema of the tables; created if missing. Empty: DefaultSchema
	Now    func() time.Time // the clock; nil: time.Now
	Logger *slog.Logger     // nil: slog.Default
	Wait   time.Duration    // how long Open and each call may take, retries included; 0: 5 s

	sweepEvery time.Duration // for tests; 0: a minute
}

// DefaultSchema is the schema that a Store uses if none is named.
const DefaultSchema = "countersign"

// Store is a store.Store in a PostgreSQL database.
type Store struct {
	pool *pgxpool.Pool
	sql  statements
	now  func() time.Time
	log  *slog.Logger
	wait time.Duration

	closing  sync.Once
	closed   chan struct{}
	sweeping sync.WaitGroup
}

var _ store.Store = (*Store)(nil)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := store.ValidKeys(keys...); err != nil {
		return nil, err
	}
	var found map[string]store.Record
	err := s.read(ctx, func(ctx context.Context, c *pgxpool.Conn) (err error) {
		found, err = s.get(ctx, c, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	records := make([]store.Record, len(keys))
	given := make(map[string]bool, len(keys))
	for i, key := range keys {
		r, ok := found[key]
		if !ok {
			r.Key = key
		}
		if given[key] { // every result gets its own copy of the value
			r.Value = append([]byte(nil), r.Value...)
		}
		given[key], records[i] = true, r
	}
	return records, nil
}

// get returns those of the records that exist.
func (s *Store) get(ctx context.Context, c *pgxpool.Conn, keys []string) (map[string]store.Record, error) {
	rows, err := c.Query(ctx, s.sql.get, byteStrings(keys), ticks(s.now()))
	if err != nil {
		return nil, err
	}
	records, err := pgx.CollectRows(rows, record)
	if err != nil {
		return nil, err
	}
	found := make(map[string]store.Record, len(records))
	for _, r := range records {
		found[r.Key] = r
	}
	return found, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, index, after string, limit int) ([]store.Record, error) {
	if err := store.ValidList(index, after, limit); err != nil {
		return nil, err
	}
	var records []store.Record
	err := s.read(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, s.sql.list, []byte(index), []byte(after), ticks(s.now()), int64(limit))
		if err != nil {
			return err
		}
		records, err = pgx.CollectRows(rows, record)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.closed)
		s.sweeping.Wait()
		s.pool.Close() // waits for the connections in use
	})
	return nil
}
