package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
	"github.com/seed-dd2befc3/countersign/store/storetest"
)

// Tests that share one server.
func TestPostgres(t *testing.T) {
	server := postgrestest.Start(t)
	for name, test := range map[string]func(*testing.T, *postgrestest.Server){
		"conformance": func(t *testing.T, server *postgrestest.Server) { conform(t, server.DSN()) },
		// Behind a pooler without prepared statements.
		"unprepared": func(t *testing.T, server *postgrestest.Server) {
			conform(t, server.DSN()+"&default_query_exec_mode=exec")
		},
		"durable":          durable,
		"plans":            plans,
		"two nodes":        twoNodes,
		"write skew":       writeSkew,
		"sweep":            sweep,
		"opened at once":   openedAtOnce,
		"schema":           schema,
		"fewer rights":     fewerRights,
		"durability":       durability,
		"nothing is told":  nothingIsTold,
		"lost connections": lostConnections,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

var schemas atomic.Int64

// newSchema returns an unused schema name.
func newSchema() string { return fmt.Sprintf("s%d", schemas.Add(1)) }

func conform(t *testing.T, dsn string) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, Options{DSN: dsn, Schema: newSchema(), Now: now})
	})
}

func durable(t *testing.T, server *postgrestest.Server) {
	storetest.Durable(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		sum := sha256.Sum256([]byte(dir))
		return open(t, Options{DSN: server.DSN(), Schema: "d" + hex.EncodeToString(sum[:8]), Now: now})
	})
}

// open opens a store and closes it at the end of the test. It logs nothing unless o has a logger.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wait == 0 {
		o.Wait = time.Minute // the test machine may be busy
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func put(key string, value string) store.Batch {
	return store.Batch{Then: []store.Op{{Put: &store.Record{Key: key, Value: []byte(value)}}}}
}

// On a table without statistics, a plan that is made once and kept uses the indexes.
func plans(t *testing.T, server *postgrestest.Server) {
	s := open(t, Options{DSN: server.DSN(), Schema: newSchema()})
	for name, c := range map[string]struct {
		sql, types, args string
	}{
		"get":    {s.sql.get, "bytea[],bigint", "'{a,b}',1"},
		"list":   {s.sql.list, "bytea,bytea,bigint,bigint", "'i','',1,10"},
		"claim":  {s.sql.claim, "bytea,bigint,bigint,bigint,bigint", "'q',1,10,2,1000"},
		"hold":   {s.sql.hold, "bytea,bigint,bigint", "'k',1,1"},
		"delete": {s.sql.delete, "bytea", "'k'"},
	} {
		err := s.read(t.Context(), func(ctx context.Context, c2 *pgxpool.Conn) error {
			results, err := c2.Conn().PgConn().Exec(ctx, "SET plan_cache_mode = force_generic_plan; "+
				"PREPARE p ("+c.types+") AS "+c.sql+"; EXPLAIN EXECUTE p ("+c.args+"); DEALLOCATE p; RESET plan_cache_mode").ReadAll()
			if err != nil {
				return err
			}
			var plan []string
			for _, row := range results[2].Rows {
				plan = append(plan, string(row[0]))
			}
			if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan") || !strings.Contains(text, "Index Scan") {
				t.Errorf("%s reads the whole table:\n%s", name, text)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of many callers on two nodes that create the same key, one succeeds and all others get a *Conflict.
func twoNodes(t *testing.T, server *postgrestest.Server) {
	o := Options{DSN: server.DSN(), Schema: newSchema()}
	nodes := []*Store{open(t, o), open(t, o)}
	for round := range 20 {
		key := fmt.Sprintf("jti/%d", round)
		var winners, losers atomic.Int64
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() {
				batch := put(key, "")
				batch.If = []store.Check{{Key: key}}
				batch.Then = append(batch.Then, store.Op{Put: &store.Record{Key: fmt.Sprintf("token/%d/%d", round, i), Index: key}})
				err := nodes[i%2].Commit(t.Context(), batch)
				var conflict *store.Conflict
				switch {
				case err == nil:
					winners.Add(1)
				case errors.As(err, &conflict) && conflict.Check == batch.If[0]:
					losers.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		tokens, err := nodes[0].List(t.Context(), key, "", 99)
		if winners.Load() != 1 || losers.Load() != 31 || len(tokens) != 1 || err != nil {
			t.Fatalf("got %d winners, %d losers, %d tokens, %v; want 1, 31 and 1", winners.Load(), losers.Load(), len(tokens), err)
		}
	}
}

// Two batches that each require the other's record to be missing are never both applied, whether or not they put what
// they check. Two batches that each delete what the other puts leave the result of one after the other.
func writeSkew(t *testing.T, server *postgrestest.Server) {
	o := Options{DSN: server.DSN(), Schema: newSchema()}
	nodes := []*Store{open(t, o), open(t, o)}
	for round := range 40 {
		keys := []string{fmt.Sprintf("a/%d", round), fmt.Sprintf("b/%d", round)}
		var happened atomic.Int64
		both(func(i int) {
			batch := put(keys[i], "")
			batch.If = []store.Check{{Key: keys[1-i]}}
			err := nodes[i].Commit(t.Context(), batch)
			var conflict *store.Conflict
			if err == nil {
				happened.Add(1)
			} else if !errors.As(err, &conflict) {
				t.Error(err)
			}
		})
		if happened.Load() != 1 {
			t.Fatalf("round %d: got %d of the two batches applied, want 1", round, happened.Load())
		}

		keys = []string{fmt.Sprintf("c/%d", round), fmt.Sprintf("d/%d", round)}
		both(func(i int) {
			batch := put(keys[i], "")
			batch.Then = append(batch.Then, store.Op{Delete: keys[1-i]})
			if err := nodes[i].Commit(t.Context(), batch); err != nil {
				t.Error(err)
			}
		})
		left, err := nodes[0].Get(t.Context(), keys...)
		if err != nil || (left[0].Version == 0) == (left[1].Version == 0) {
			t.Fatalf("round %d: got %v left, %v, want one record", round, left, err)
		}
	}
}

func both(run func(i int)) {
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() { run(i) })
	}
	all.Wait()
}

// Rows that expired long ago are deleted in the background, and no others.
func sweep(t *testing.T, server *postgrestest.Server) {
	start := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	var passed atomic.Int64
	s := open(t, Options{
		DSN: server.DSN(), Schema: newSchema(), sweepEvery: 20 * time.Millisecond,
		Now: func() time.Time { return start.Add(time.Duration(passed.Load())) },
	})
	for batch := range 3 { // more than one statement deletes
		var b store.Batch
		for i := range store.MaxOps {
			b.Then = append(b.Then, store.Op{Put: &store.Record{Key: fmt.Sprintf("%d/%d", batch, i), Expires: start.Add(time.Minute)}})
		}
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	later := put("later", "")
	later.Then[0].Put.Expires = start.Add(time.Minute + 1)
	for _, b := range []store.Batch{later, put("never", "")} {
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (n int) {
		err := s.read(t.Context(), func(ctx context.Context, c *pgxpool.Conn) error {
			return c.QueryRow(ctx, strings.Replace("SELECT count(*) FROM $s", "$s", strings.Fields(s.sql.delete)[2], 1)).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	passed.Store(int64(time.Minute + grace - 1))
	if n, err := s.clear(t.Context()); n != 0 || err != nil || count() != 3*store.MaxOps+2 {
		t.Fatalf("within the grace: got %d deleted, %v and %d left, want none deleted", n, err, count())
	}
	passed.Store(int64(time.Minute + grace))
	eventually(t, "only two records to be left", func() bool { return count() == 2 })
}

// eventually polls until done returns true, for at most a minute.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited a minute for %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
