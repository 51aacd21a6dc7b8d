// Package postgres adds to a Caddy build the store that several gateways share: a PostgreSQL database, or what speaks
// its protocol. It is a package of its own so that a gateway on one machine need not contain it; docs/cluster.md says
// how such gateways are run.
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

// Postgres is the store that several gateways share, in a PostgreSQL database. Its tables are made and brought up to
// date by the gateways themselves.
type Postgres struct {
	// DSN says where the database is, as libpq takes it: postgres://user:password@host:5432/name, or "host=… user=…".
	// It is mandatory. With a password in it, it is best kept out of the configuration: {env.DATABASE_URL}, or
	// {file./run/secrets/database}.
	DSN string `json:"dsn,omitempty"`

	// Schema holds the tables, and is made if it is missing. Default: countersign. Gateways that are to share nothing
	// share a database by different ones.
	Schema string `json:"schema,omitempty"`

	dsn      string // with its placeholders replaced
	identity string
	logger   *slog.Logger
}

// CaddyModule returns the module's name for Caddy.
func (*Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.stores.postgres", New: func() caddy.Module { return new(Postgres) }}
}

// Provision reads the DSN; it connects to nothing.
func (p *Postgres) Provision(ctx caddy.Context) error {
	p.logger = ctx.Slogger()
	if p.DSN == "" {
		return errors.New("store postgres: say where the database is: store postgres {env.DATABASE_URL}")
	}
	var err error
	if p.dsn, err = caddy.NewReplacer().ReplaceOrErr(p.DSN, true, true); err != nil {
		return fmt.Errorf("store postgres: %w", err) // names the placeholder
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

// Risks is a way to the database that others can listen on, or pretend to be at the end of.
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

// Identity is the database and the schema, with a mark of the whole DSN: who changes the password, or a parameter,
// gets new connections by a reload.
func (p *Postgres) Identity() string { return p.identity }

// Shared says that other gateways may use the store as well.
func (*Postgres) Shared() bool { return true }

// Open connects to the database.
func (p *Postgres) Open(ctx context.Context) (store.Store, error) {
	return postgres.Open(ctx, postgres.Options{DSN: p.dsn, Schema: p.Schema, Logger: p.logger})
}

// markKey is of this process, so that nobody can try passwords on a mark.
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
		return d.Err("store postgres takes a DSN, best by a placeholder: store postgres {env.DATABASE_URL}")
	}
	p.DSN = d.Val()
	if d.NextArg() {
		return d.Err("store postgres takes one argument; a DSN with spaces in it stands in quotes")
	}
	return parse.Options{"schema": parse.One(&p.Schema)}.Block(d, "store postgres")
}

// Interface guards.
var (
	_ caddymodule.Engine    = (*Postgres)(nil)
	_ caddy.Provisioner     = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
)
