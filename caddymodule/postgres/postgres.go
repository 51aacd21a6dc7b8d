// Package postgres adds to a Caddy build the store that several gateways share: a PostgreSQL database, or one that
// speaks its protocol. It is a separate package so that a gateway on a single machine need not include it;
// docs/cluster.md says how to run such gateways.
package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/postgres"
)

func init() {
	caddy.RegisterModule(&Postgres{})
}

// Postgres is the store that several gateways share in a PostgreSQL database. The gateways create and migrate its
// tables themselves.
type Postgres struct {
	// DSN says where the database is, in libpq's form: postgres://user:password@host:5432/name, or "host=… user=…".
	// Mandatory. Keep a DSN with a password out of the configuration: {env.DATABASE_URL}, or
	// {file./run/secrets/database}.
	DSN string `json:"dsn,omitempty"`

	// Schema holds the tables and is created if missing. Default: countersign. Gateways that must not share anything
	// can use one database with different schemas.
	Schema string `json:"schema,omitempty"`

	dsn      string // with its placeholders replaced
	identity string
	logger   *slog.Logger
}

// CaddyModule returns the module's information for Caddy.
func (*Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.stores.postgres", New: func() caddy.Module { return new(Postgres) }}
}

// Provision parses the DSN; it opens no connection.
func (p *Postgres) Provision(ctx caddy.Context) error {
	p.logger = ctx.Slogger()
	if p.DSN == "" {
		return errors.New("store postgres: no DSN: say where the database is, for example store postgres {env.DATABASE_URL}")
	}
	var err error
	if p.dsn, err = caddy.NewReplacer().ReplaceOrErr(p.DSN, true, true); err != nil {
		return fmt.Errorf("store postgres: %w", err) // the error names the placeholder
	}
	if p.Schema == "" {
		p.Schema = postgres.DefaultSchema
	}
	if err := postgres.CheckSchema(p.Schema); err != nil {
		return fmt.Errorf("store postgres: %w", err)
	}
	address, err := postgres.Address(p.dsn)
	if err != nil {
		return fmt.Errorf("store postgres: %w", err)
	}
	p.identity = fmt.Sprintf("postgres %s schema %s (%s)", address, p.Schema, mark(p.dsn))
	return nil
}

// Risks reports a connection to the database that others can read, or answer in its place.
func (p *Postgres) Risks() []caddymodule.Risk {
	host, secrecy := postgres.Weakest(p.dsn)
	switch secrecy {
	case postgres.Plaintext:
		return []caddymodule.Risk{{Rule: caddymodule.RuleStorePlaintext, What: "store postgres at " + host + " without TLS"}}
	case postgres.Unverified:
		return []caddymodule.Risk{{Rule: caddymodule.RuleStoreUnverified, What: "store postgres at " + host + ", whose certificate is not verified,"}}
	}
	return nil
}

// Identity names the database and the schema, with a mark of the whole DSN, so that a reload with a new password or
// parameter opens new connections.
func (p *Postgres) Identity() string { return p.identity }

// Shared reports that other gateways may use the store as well.
func (*Postgres) Shared() bool { return true }

// Open connects to the database.
func (p *Postgres) Open(ctx context.Context) (store.Store, error) {
	return postgres.Open(ctx, postgres.Options{DSN: p.dsn, Schema: p.Schema, Logger: p.logger})
}

// markKey is random per process, so that a mark cannot be used to guess passwords.
var markKey = rand.Text()

func mark(secret string) string {
	h := hmac.New(sha256.New, []byte(markKey))
	h.Write([]byte(secret))
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// UnmarshalCaddyfile reads:
//
//	store postgres <dsn> {
//		schema <name>
//	}
func (p *Postgres) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if !d.NextArg() {
		return d.Err("store postgres takes a DSN, preferably as a placeholder: store postgres {env.DATABASE_URL}")
	}
	p.DSN = d.Val()
	if d.NextArg() {
		return d.Err("store postgres takes one argument: put a DSN with spaces in quotes")
	}
	return parse.Options{"schema": parse.One(&p.Schema)}.Block(d, "store postgres")
}

// Interface guards.
var (
	_ caddymodule.Engine    = (*Postgres)(nil)
	_ caddy.Provisioner     = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
)
