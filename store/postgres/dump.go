package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-dd2befc3/countersign/store"
)

var _ store.Dumper = (*Store)(nil)

// Dump implements store.Dumper. It is one statement, which runs for as long as the caller takes.
func (s *Store) Dump(ctx context.Context, each func(store.Record) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.isClosed() {
		return unavailable("store is closed")
	}
	c, err := s.pool.Acquire(ctx)
	if err == nil {
		defer c.Release()
		var callers bool
		if callers, err = s.dump(ctx, c, each); callers {
			return err
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return unavailable("%w", err)
}

// dump also reports whether the error is the caller's own.
func (s *Store) dump(ctx context.Context, c *pgxpool.Conn, each func(store.Record) error) (callers bool, err error) {
	rows, err := c.Query(ctx, s.sql.dump, ticks(s.now()))
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := record(rows)
		if err != nil {
			return false, err
		}
		err = each(r)
		if err == nil && s.isClosed() {
			err = unavailable("store was closed")
		}
		if err != nil {
			_ = c.Conn().Close(ctx) // do not read the rest, which may be large
			return true, err
		}
	}
	return false, rows.Err()
}
