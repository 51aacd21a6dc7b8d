package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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

// Address is what a DSN may be called in a log: its hosts, its database and the user. Two DSNs that differ in their
// password or their parameters have the same one. The error of a DSN that cannot be read tells nothing of it.
func Address(dsn string) (string, error) {
	config, err := configure(dsn)
	if err != nil {
		return "", err
	}
	c := config.ConnConfig
	return fmt.Sprintf("%s@%s/%s", c.User, strings.Join(hosts(c), ","), c.Database), nil
}

// hosts are those that are tried, in order, each once.
func hosts(c *pgx.ConnConfig) []string {
	all := []string{fmt.Sprintf("%s:%d", c.Host, c.Port)}
	for _, f := range c.Fallbacks {
		if host := fmt.Sprintf("%s:%d", f.Host, f.Port); !slices.Contains(all, host) { // else with and without TLS
			all = append(all, host)
		}
	}
	return all
}

// configure reads a DSN. What is wrong with it is not told in pgx's words, which may quote a part of the password.
func configure(dsn string) (*pgxpool.Config, error) {
	if dsn == "" {
		return nil, errors.New("no DSN: say where the database is, as in postgres://user:password@host:5432/name")
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil || strings.Contains(strings.Join(hosts(config.ConnConfig), ""), "@") { // a part of a password
		return nil, errors.New("the DSN cannot be read: it is postgres://user:password@host:5432/name, with what is not a letter or a digit in the password percent-encoded, or host=… user=… password='…' dbname=…")
	}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("the DSN asks for the simple protocol, which cannot send a commit as one pipeline: behind a pooler without prepared statements take default_query_exec_mode=exec")
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		config.MaxConns = defaultMaxConns
	}
	if !strings.Contains(dsn, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	return config, nil
}
