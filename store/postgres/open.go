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
	connectTimeout  = 2 * time.Second // less than defaultWait, so that a host that does not answer leaves time for the next
)

// Open connects to the database, makes or brings up to date the tables of this version there, and begins to clear
// away what expires. Any number of nodes may do so at once. It fails where a newer version has been, and where the
// server would acknowledge what it may lose.
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
	s.sweeping.Go(func() { s.sweep(o.sweepEvery) }) //nolint:contextcheck // it lives as long as the store, not as this call
	return s, nil
}

// schemaName is what needs no quoting in SQL, anywhere.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// CheckSchema says whether a schema can have that name.
func CheckSchema(name string) error {
	if !schemaName.MatchString(name) || strings.HasPrefix(name, "pg_") {
		return fmt.Errorf("%q cannot name a schema: take small letters, digits and underscores, at most 63", name)
	}
	return nil
}
