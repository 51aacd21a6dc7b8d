package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-dd2befc3/countersign/store"
)

// Claim implements store.Store. It skips records that another node is claiming.
func (s *Store) Claim(ctx context.Context, queue string, n int, lease time.Duration) ([]store.Record, error) {
	if err := store.ValidClaim(queue, n, lease); err != nil {
		return nil, err
	}
	var claimed []claimedRecord
	err := s.change(ctx, func(ctx context.Context, c *pgxpool.Conn) (err error) {
		claimed, err = s.claim(ctx, c, queue, min(n, store.MaxOps), lease)
		return outcome(false, err)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claimed, func(a, b claimedRecord) int {
		return cmp.Or(cmp.Compare(a.wasDue, b.wasDue), cmp.Compare(a.Key, b.Key))
	})
	records := make([]store.Record, len(claimed))
	for i, c := range claimed {
		records[i] = c.Record
	}
	return records, nil
}

// claimedRecord keeps what it was ordered by, because an UPDATE returns its rows in any order.
type claimedRecord struct {
	store.Record
	wasDue int64
}

func (s *Store) claim(ctx context.Context, c *pgxpool.Conn, queue string, n int, lease time.Duration) ([]claimedRecord, error) {
	now := s.now()
	rows, err := c.Query(ctx, s.sql.claim, []byte(queue), ticks(now), int64(n), ticks(now.Add(lease)), int64(store.MaxBatch))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (claimedRecord, error) {
		var wasDue int64
		r, err := scan(row, &wasDue)
		return claimedRecord{r, wasDue}, err
	})
}
