package postgres

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	sweepEvery = time.Minute
	sweepBatch = 500 // rows deleted by one statement

	// grace is how long an expired row is kept: the clocks of nodes differ, and a row deleted by one must have
	// expired for all.
	grace = 10 * time.Minute
)

// sweep deletes expired rows periodically until the store is closed. Every node does so; they skip each other's
// locked rows.
func (s *Store) sweep(every time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.sweeping.Go(func() {
		<-s.closed
		cancel()
	})
	for {
		select {
		case <-time.After(every/2 + rand.N(every)): //nolint:gosec // so that nodes take turns
		case <-ctx.Done():
			return
		}
		if _, err := s.clear(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("could not delete expired records; the next sweep retries", slog.Any("error", err))
		}
	}
}

// clear deletes rows that expired long enough ago, in small batches, and returns their number.
func (s *Store) clear(ctx context.Context) (cleared int64, err error) {
	for {
		var n int64
		err := s.read(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
			// Planned anew each time, for the current size of the table.
			tag, err := c.Exec(ctx, s.sql.sweep, pgx.QueryExecModeExec, ticks(s.now().Add(-grace)), int64(sweepBatch))
			n = tag.RowsAffected()
			return err
		})
		cleared += n
		if err != nil || n < sweepBatch {
			return cleared, err
		}
	}
}
