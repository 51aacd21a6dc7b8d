package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	defaultWait     = 5 * time.Second
	defaultMaxConns = 16
	connectTimeout  = 2 * time.Second // less than defaultWait, to leave time for the next host if one does not answer
)

// Open connects to the database, creates or migrates its tables and starts deleting expired records. Any number of
// nodes may do so at once. It fails if the tables belong to a newer version, and if the server acknowledges
// commits that it may lose.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Schema == "" {
		o.Schema = DefaultSchema
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	if o.sweepEvery == 0 {
		o.sweepEvery = sweepEvery
	}
	config, err := configure(o.DSN)
	if err != nil {
		return nil, err
	}
	if err := CheckSchema(o.Schema); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, unavailable("%w", err)
	}
	s := &Store{
		pool: pool, sql: newStatements(o.Schema), now: o.Now, log: o.Logger, wait: o.Wait,
		closed: make(chan struct{}),
	}
	err = s.checkDurability(ctx)
	if err == nil {
		err = s.migrate(ctx, o.Schema)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.sweeping.Go(func() { s.sweep(o.sweepEvery) }) //nolint:contextcheck // lives as long as the store, not as this call
	return s, nil
}

// schemaName matches names that never need quoting in SQL.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// CheckSchema returns an error if a schema cannot have that name.
func CheckSchema(name string) error {
	if !schemaName.MatchString(name) || strings.HasPrefix(name, "pg_") {
		return fmt.Errorf("%q cannot name a schema: use lower-case letters, digits and underscores, at most 63 characters", name)
	}
	return nil
}
