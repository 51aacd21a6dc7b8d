// Package postgres is the store that several gateways share: one PostgreSQL database, or what speaks its protocol.
// It is the only package that imports pgx.
//
// A record is a row, and every promise rests on row locks, which all nodes meet in one order:
//
//	Commit   begin ─ each key, in order: hold its version, or take its place, then put or delete ─ look ─ commit
//	Claim    one statement: lock what is due and nobody else has locked, move it on
//	Get      one statement, hence of one moment
//	List     one statement
//
// All of a Commit is sent as one pipeline. One with checks looks at what came back before it sends the commit, so that
// a check that does not hold is no error to the server, whose log would tell of it. Two nodes that insert the same key
// meet in the unique index of the keys, where the second waits and then finds the first one's: a check that there is
// none is exact.
//
// Nothing rests on deletion: expiry stands in the row and is compared with the clock that was handed in. Rows long
// expired are deleted in small batches by each node in the background, past whatever another has locked.
//
// What could not be kept fails with store.ErrUnavailable. A call tries again, until Options.Wait is over, after what
// certainly left no trace: a connection that was not made, a serialisation failure, a deadlock. A commit whose
// outcome is unknown, since the connection was lost before its answer, is not tried again and never told as success.
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

// Options are the settings of a Store. Only DSN is needed.
type Options struct {
	// DSN says where the database is and who asks, as libpq takes it: postgres://user:password@host:5432/name or
	// "host=… user=…". Parameters of pgx may be in it, such as pool_max_conns (16 here by default), or
	// default_query_exec_mode=exec behind a PgBouncer that keeps no prepared statements. It is never logged, and no
	// error holds its password.
	DSN    string
	Schema string           // the schema that holds the tables; made if it is missing. Empty: DefaultSchema
	Now    func() time.Time // the clock; nil: time.Now
	Logger *slog.Logger     // nil: slog.Default
	Wait   time.Duration    // how long Open and each call may take, trying again included; 0: 5 s

	sweepEvery time.Duration // for tests; 0: a minute
}

// DefaultSchema is the schema whose tables a Store uses where none is named.
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
		if given[key] { // the caller's own value, each time it is asked for
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
