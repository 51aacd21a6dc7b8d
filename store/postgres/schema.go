package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Schema is the schema version of this program. A database with a newer one is not opened.
const Schema = 1

// migrations bring the tables from each schema version to the next. Each statement can be repeated, also concurrently
// with another node, so that nothing depends on one transaction (which CockroachDB ends before each of these): the
// number is raised once all have succeeded. Names sort bytewise, since bytea has no collation.
var migrations = [Schema][]string{
	{
		`CREATE SEQUENCE IF NOT EXISTS $schema.versions`,
		`CREATE TABLE IF NOT EXISTS $schema.records (
			key     bytea  PRIMARY KEY,
			version bigint NOT NULL,
			value   bytea  NOT NULL,
			expires bigint,
			queue   bytea,
			due     bigint,
			idx     bytea
		)`,
		// Directions are given because YugabyteDB would otherwise hash the first column and could not scan a range of it.
		`CREATE INDEX IF NOT EXISTS records_queue ON $schema.records (queue ASC, due ASC, key ASC) WHERE queue IS NOT NULL`,
		`CREATE INDEX IF NOT EXISTS records_idx ON $schema.records (idx ASC, key ASC) WHERE idx IS NOT NULL`,
		`CREATE INDEX IF NOT EXISTS records_expires ON $schema.records (expires ASC) WHERE expires IS NOT NULL`,
	},
}

const (
	createSchema = `CREATE SCHEMA IF NOT EXISTS $schema`
	createAbout  = `CREATE TABLE IF NOT EXISTS $schema.about (name text PRIMARY KEY, number bigint NOT NULL)`
	beginAbout   = `INSERT INTO $schema.about (name, number) VALUES ('schema', 0) ON CONFLICT (name) DO NOTHING`
	readAbout    = `SELECT number FROM $schema.about WHERE name = 'schema'`
	raiseAbout   = `UPDATE $schema.about SET number = $1 WHERE name = 'schema' AND number < $1`
	listTables   = `SELECT table_name FROM information_schema.tables WHERE table_schema = $1`
)

// migrate creates the tables or migrates them to this version. If they are current, nothing is changed, so that a
// role without the right to create tables is sufficient.
func (s *Store) migrate(ctx context.Context, schema string) error {
	in := func(sql string) string { return strings.ReplaceAll(sql, "$schema", schema) }
	var refused error
	err := s.read(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		tables, err := listed(ctx, c, schema)
		if err != nil {
			return err
		}
		if len(tables) > 0 && !slices.Contains(tables, "about") {
			refused = unavailable("schema %s has other contents (table %s): name another schema", schema, tables[0])
			return nil
		}
		number, err := begun(ctx, c, len(tables) > 0, in)
		if err != nil {
			return err
		}
		if number > Schema {
			refused = unavailable("schema %s was written by a newer version of this program (version %d, this one supports %d): run that version, or name another schema", schema, number, Schema)
			return nil
		}
		return s.raise(ctx, c, number, in)
	})
	return errors.Join(refused, err)
}

func listed(ctx context.Context, c *pgxpool.Conn, schema string) ([]string, error) {
	rows, err := c.Query(ctx, listTables, schema)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// begun returns the schema version of the tables, and creates the version table if there is none.
func begun(ctx context.Context, c *pgxpool.Conn, known bool, in func(string) string) (number int64, err error) {
	begin := []string{createSchema, createAbout, beginAbout}
	if known {
		err = c.QueryRow(ctx, in(readAbout)).Scan(&number)
		if !errors.Is(err, pgx.ErrNoRows) {
			return number, err
		}
		begin = begin[2:] // another node has just begun, or was interrupted
	}
	for _, sql := range begin {
		if _, err := c.Exec(ctx, in(sql)); err != nil {
			return 0, madeMeanwhile(err)
		}
	}
	return 0, nil
}

// raise migrates the tables from one version to that of this program.
func (s *Store) raise(ctx context.Context, c *pgxpool.Conn, number int64, in func(string) string) error {
	for ; number < Schema; number++ {
		for _, sql := range migrations[number] {
			if _, err := c.Exec(ctx, in(sql)); err != nil {
				return madeMeanwhile(err)
			}
		}
		if _, err := c.Exec(ctx, in(raiseAbout), number+1); err != nil {
			return err
		}
		s.log.Info("migrated the store's tables", slog.Int64("form", number+1))
	}
	return nil
}

// madeMeanwhile marks the error of a statement that collided with another node's.
func madeMeanwhile(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch pg.Code {
	case uniqueViolation, // of PostgreSQL's own catalog
		"42P06", "42P07", "42710", // schema, table, object exists
		"42P01", "3F000", // table, schema does not exist yet
		"XX000": // tuple concurrently updated
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return err
}

// checkDurability rejects a server that acknowledges commits before they are on its disk, because acknowledged
// records could be lost.
func (s *Store) checkDurability(ctx context.Context) error {
	var synchronous, fsync string
	err := s.read(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, s.sql.durability).Scan(&synchronous, &fsync)
	})
	if err != nil {
		return err
	}
	if synchronous == "off" {
		return unavailable("synchronous_commit is off, so acknowledged commits could be lost: turn it on for this user (ALTER ROLE … SET synchronous_commit = on) or in the DSN (options=-csynchronous_commit=on)")
	}
	if fsync == "off" {
		s.log.Warn("the database server runs with fsync off: acknowledged commits are lost if its machine loses power")
	}
	return nil
}
