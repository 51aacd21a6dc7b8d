package postgres

import (
	"bytes"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// Many nodes that start at the same time on an empty database all start.
func openedAtOnce(t *testing.T, server *postgrestest.Server) {
	o := Options{DSN: server.DSN(), Schema: newSchema(), Logger: slog.New(slog.DiscardHandler), Wait: 30 * time.Second}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Commit(t.Context(), put("k", "v")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func schema(t *testing.T, server *postgrestest.Server) {
	refused := func(schema, want string) {
		t.Helper()
		_, err := Open(t.Context(), Options{DSN: server.DSN(), Schema: schema, Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open of schema %q: got %v, want %q", schema, err, want)
		}
	}
	newer := newSchema()
	open(t, Options{DSN: server.DSN(), Schema: newer})
	server.SQL(postgrestest.Database, "UPDATE "+newer+".about SET number = 2")
	refused(newer, "newer version of this program (version 2, this one supports 1)")

	foreign := newSchema()
	server.SQL(postgrestest.Database, "CREATE SCHEMA "+foreign+"; CREATE TABLE "+foreign+".somebodys (x int)")
	refused(foreign, "has other contents (table somebodys)")

	for _, name := range []string{"Large", "a-b", `"`, "x; DROP", "1a", "pg_catalog", strings.Repeat("a", 64)} {
		refused(name, "cannot name a schema")
	}

	// A node interrupted during the first start is followed by one that completes it.
	begun := newSchema()
	server.SQL(postgrestest.Database, "CREATE SCHEMA "+begun+"; CREATE TABLE "+begun+".about (name text PRIMARY KEY, number bigint NOT NULL)")
	s := open(t, Options{DSN: server.DSN(), Schema: begun})
	if err := s.Commit(t.Context(), put("k", "v")); err != nil {
		t.Error(err)
	}
}

// If the tables exist, a user that may only read and write them is sufficient.
func fewerRights(t *testing.T, server *postgrestest.Server) {
	schema := newSchema()
	open(t, Options{DSN: server.DSN(), Schema: schema})
	server.SQL(postgrestest.Database, `CREATE ROLE lesser LOGIN PASSWORD 'lesser';
		REVOKE CREATE ON DATABASE `+postgrestest.Database+` FROM PUBLIC;
		GRANT USAGE ON SCHEMA `+schema+` TO lesser;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA `+schema+` TO lesser;
		GRANT USAGE ON ALL SEQUENCES IN SCHEMA `+schema+` TO lesser`)
	dsn := "postgres://lesser:lesser@" + server.Address() + "/" + postgrestest.Database
	s := open(t, Options{DSN: dsn, Schema: schema})
	if err := s.Commit(t.Context(), put("k", "v")); err != nil {
		t.Error(err)
	}
	_, err := Open(t.Context(), Options{DSN: dsn, Schema: newSchema(), Logger: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("Open of a schema that the user may not create: got %v, want permission denied", err)
	}
}

func durability(t *testing.T, server *postgrestest.Server) {
	_, err := Open(t.Context(), Options{DSN: server.DSN() + "&options=-csynchronous_commit%3Doff", Schema: newSchema()})
	if err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("Open with synchronous_commit off: got %v, want it refused", err)
	}
}

// No error, log line or name of a store contains a password, whatever is wrong.
func nothingIsTold(t *testing.T, server *postgrestest.Server) {
	escaped := url.QueryEscape(postgrestest.Password)
	wrong := strings.Replace(server.DSN(), url.UserPassword(postgrestest.User, postgrestest.Password).String(), postgrestest.User+":wr0ng%40pass", 1)
	for _, dsn := range []string{
		wrong,
		"postgres://countersign:wr0ng@pass@" + server.Address() + "/gateway",
		"postgres://countersign:wr0ng#pass@" + server.Address() + "/gateway",
		"postgres://countersign:wr0ng/pass@" + server.Address() + "/gateway",
		"postgres://countersign:wr0ng%pass@" + server.Address() + "/gateway",
		"host=127.0.0.1 port=x password=wr0ng",
		"host=127.0.0.1 port=1 user=u password='wr0ng",
		"host=127.0.0.1 port=1 user=u password=wr0ng connect_timeout=1",
		"postgres://u:wr0ng@127.0.0.1:1/x?default_query_exec_mode=simple_protocol",
		"postgres://u:wr0ng@127.0.0.1:1/x?sslmode=nonsense",
		"",
	} {
		var log bytes.Buffer
		_, err := Open(t.Context(), Options{DSN: dsn, Logger: slog.New(slog.NewTextHandler(&log, nil)), Wait: time.Second})
		if err == nil {
			t.Errorf("Open(%q): got no error, want one", dsn)
			continue
		}
		address, addressErr := Address(dsn)
		told := err.Error() + log.String() + address
		if addressErr != nil {
			told += addressErr.Error()
		}
		if strings.Contains(told, "wr0ng") || strings.Contains(told, escaped) || strings.Contains(told, "@pass") {
			t.Errorf("DSN %q: the password is in %q", dsn, told)
		}
	}
	if _, err := Open(t.Context(), Options{DSN: wrong, Wait: time.Minute}); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("Open with a wrong password: got %v, want ErrUnavailable", err)
	}
	address, err := Address("postgres://u:secret@db1:5432,db2:5433/name?target_session_attrs=read-write")
	if err != nil || address != "u@db1:5432,db2:5433/name" {
		t.Errorf("Address: got %q, %v, want u@db1:5432,db2:5433/name", address, err)
	}
}

func TestWeakest(t *testing.T) {
	own := "&sslrootcert=" + url.QueryEscape("../../caddymodule/testdata/root.pem")
	for dsn, want := range map[string]struct {
		host    string
		secrecy Secrecy
	}{
		"postgres://u:p@db.example/x":                                        {"db.example", Plaintext}, // sslmode=prefer falls back to plaintext
		"postgres://u:p@db.example/x?sslmode=allow":                          {"db.example", Plaintext},
		"postgres://u:p@db.example/x?sslmode=disable":                        {"db.example", Plaintext},
		"postgres://u:p@127.0.0.1,db2.example/x?sslmode=disable":             {"db2.example", Plaintext},
		"postgres://u:p@db.example/x?sslmode=require":                        {"db.example", Unverified},
		"postgres://u:p@127.0.0.1,db2.example/x?sslmode=require":             {"db2.example", Unverified},
		"postgres://u:p@db1.example,db2.example/x?sslmode=verify-ca":         {"db1.example", Unverified}, // by any CA, for any host
		"postgres://u:p@db.example/x?sslmode=verify-ca" + own:                {"", Verified},
		"postgres://u:p@db.example/x?sslmode=require" + own:                  {"", Verified}, // means verify-ca then, as in libpq
		"postgres://u:p@db.example/x?sslmode=verify-full":                    {"", Verified},
		"postgres://u:p@db1.example,db2.example/x?sslmode=verify-full" + own: {"", Verified},
		"postgres://u:p@localhost/x":                                         {"", Verified},
		"postgres://u:p@[::1]/x?sslmode=disable":                             {"", Verified},
		"host=/run/postgresql user=u dbname=x":                               {"", Verified},
		"no DSN":                                                             {"", Verified},
	} {
		if host, secrecy := Weakest(dsn); host != want.host || secrecy != want.secrecy {
			t.Errorf("Weakest(%s): got %q %d, want %q %d", dsn, host, secrecy, want.host, want.secrecy)
		}
	}
}
