package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-dd2befc3/countersign/store"
)

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, batch store.Batch) error {
	if err := batch.Validate(); err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		err := s.transact(ctx, c.Conn(), s.steps(batch))
		if errors.Is(err, errCheck) {
			return s.conflict(ctx, c, batch.If)
		}
		return err
	})
}

// conflict returns the check that does not hold. If all do, whatever failed the batch is gone already.
func (s *Store) conflict(ctx context.Context, c *pgxpool.Conn, checks []store.Check) error {
	keys := make([]string, len(checks))
	for i, check := range checks {
		keys[i] = check.Key
	}
	found, err := s.get(ctx, c, keys)
	if err != nil {
		return fmt.Errorf("%w: finding the failed check: %w", errAgain, err)
	}
	for _, check := range checks {
		if found[check.Key].Version != check.Version {
			return &store.Conflict{Check: check}
		}
	}
	return fmt.Errorf("%w: the records keep changing", errAgain)
}

// step is one statement of a transaction.
type step struct {
	sql   string
	args  []any
	check bool // if it matches no row, the transaction must not happen
}

// steps translates a batch to statements. Keys are visited in order, so that two batches never deadlock, and
// the first statement for a key locks its row or its place, so that a check still holds at the commit.
func (s *Store) steps(batch store.Batch) []step {
	keys := map[string]*changes{}
	of := func(key string) *changes {
		if keys[key] == nil {
			keys[key] = &changes{key: key}
		}
		return keys[key]
	}
	for _, check := range batch.If {
		if c := of(check.Key); check.Version == 0 {
			c.absent = true
		} else if !slices.Contains(c.versions, check.Version) {
			c.versions = append(c.versions, check.Version)
		}
	}
	for _, op := range batch.Then {
		if op.Put != nil {
			of(op.Put.Key).put = op.Put
		} else {
			of(op.Delete).delete = true
		}
	}
	sorted := make([]string, 0, len(keys))
	for key := range keys {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	now := ticks(s.now())
	var steps []step
	for _, key := range sorted {
		steps = keys[key].steps(steps, s.sql, now)
	}
	return steps
}

// changes are all checks and changes of one key in a batch.
type changes struct {
	key      string
	versions []store.Version // required versions; more than one cannot hold
	absent   bool            // the record must not exist
	put      *store.Record
	delete   bool
}

func (c *changes) steps(to []step, sql statements, now int64) []step {
	key := []byte(c.key)
	for _, version := range c.versions {
		to = append(to, step{sql.hold, []any{key, int64(version), now}, true}) //nolint:gosec // a larger one is never assigned
	}
	if c.put != nil {
		if c.absent {
			return append(to, step{sql.insert, append(columns(c.put), now), true})
		}
		return append(to, step{sql.put, columns(c.put), false})
	}
	switch {
	case c.absent:
		to = append(to, step{sql.reserve, []any{key, now}, true})
	case c.delete && c.versions == nil:
		to = append(to, step{sql.waitFor, []any{key}, false})
	case !c.delete:
		return to
	}
	return append(to, step{sql.delete, []any{key}, false})
}

// transact executes all steps in one transaction. It takes one round trip, or two if results must be examined before
// the commit is sent. Until then nothing can have happened.
func (s *Store) transact(ctx context.Context, conn *pgx.Conn, steps []step) error {
	begin, commit := step{sql: s.sql.begin}, step{sql: s.sql.commit}
	isCheck := func(s step) bool { return s.check }
	switch {
	case len(steps) == 0:
		return nil
	case len(steps) == 1: // a transaction by itself
		return outcome(s.send(ctx, conn, steps))
	case !slices.ContainsFunc(steps, isCheck):
		return outcome(s.send(ctx, conn, slices.Concat([]step{begin}, steps, []step{commit})))
	}
	_, err := s.send(ctx, conn, slices.Concat([]step{begin}, steps))
	if err != nil {
		return traceless(err)
	}
	return outcome(s.send(ctx, conn, []step{commit}))
}

// send sends statements as one pipeline. If one fails, it ends the transaction and reports whether the commit had
// begun by then. (The commit of a lone statement begins when its result is there.)
func (s *Store) send(ctx context.Context, conn *pgx.Conn, steps []step) (committing bool, err error) {
	var b pgx.Batch
	for _, step := range steps {
		b.Queue(step.sql, step.args...)
	}
	results := conn.SendBatch(ctx, &b)
	for _, step := range steps {
		tag, err := results.Exec()
		switch {
		case err != nil:
		case step.check && tag.RowsAffected() == 0:
			err = errCheck
		case step.sql == s.sql.commit && tag.String() != "COMMIT":
			err = fmt.Errorf("%w: the answer to the commit is %q", errAgain, tag)
		}
		if err != nil {
			_ = results.Close() // returns the same error again
			s.abandon(ctx, conn)
			return step.sql == s.sql.commit, err
		}
	}
	return true, results.Close()
}

// abandon rolls back an open transaction. If that fails, the connection is not used again.
func (s *Store) abandon(ctx context.Context, conn *pgx.Conn) {
	if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
		return
	}
	if _, err := conn.Exec(ctx, s.sql.rollback); err != nil {
		_ = conn.Close(ctx)
	}
}

// errCheck is the error of a check that did not hold.
var errCheck = errors.New("a check did not hold")
