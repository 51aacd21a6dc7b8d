package postgres

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

func provisioned(t *testing.T, p Postgres) *Postgres {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	if err := p.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return &p
}

// A store's identity names the database but not the password. Another password is another store, so that a reload
// uses it.
func TestIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dsn")
	write := func(dsn string) string {
		if err := os.WriteFile(file, []byte(dsn), 0o600); err != nil {
			t.Fatal(err)
		}
		return provisioned(t, Postgres{DSN: "{file." + file + "}"}).Identity()
	}
	first := write("postgres://gateway:hunter2@db.example:5433/nhs")
	if !strings.HasPrefix(first, "postgres gateway@db.example:5433/nhs schema countersign") || strings.Contains(first, "hunter2") {
		t.Errorf("got identity %q", first)
	}
	if again := write("postgres://gateway:hunter2@db.example:5433/nhs"); again != first {
		t.Errorf("got identities %q and %q, want the same", first, again)
	}
	if other := write("postgres://gateway:hunter3@db.example:5433/nhs"); other == first {
		t.Error("another password: got the same identity")
	}
	if other := provisioned(t, Postgres{DSN: "{file." + file + "}", Schema: "other"}).Identity(); other == first {
		t.Error("another schema: got the same identity")
	}
}

func TestOpen(t *testing.T) {
	server := postgrestest.Start(t)
	t.Setenv("TEST_DATABASE_URL", server.DSN())
	p := provisioned(t, Postgres{DSN: "{env.TEST_DATABASE_URL}", Schema: "ward7"})
	s, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Commit(context.Background(), store.Batch{Then: []store.Op{{Put: &store.Record{Key: "k"}}}}); err != nil {
		t.Error(err)
	}
	if n := server.SQL(postgrestest.Database, "SELECT count(*) FROM ward7.records"); n != "1" {
		t.Errorf("got %s records in the schema, want 1", n)
	}
}
