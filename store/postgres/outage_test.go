package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// All connections of a pool that are cut while nobody uses them are replaced, and no caller hears of it.
func lostConnections(t *testing.T, server *postgrestest.Server) {
	s := open(t, Options{DSN: server.DSN(), Schema: newSchema()})
	both(func(int) {
		if err := s.Commit(t.Context(), put("k", "v")); err != nil {
			t.Error(err)
		}
	})
	server.SQL("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+postgrestest.Database+"'")
	for i := range 4 {
		if err := s.Commit(t.Context(), put(fmt.Sprint(i), "v")); err != nil {
			t.Errorf("commit %d: %v", i, err)
		}
	}
}

// While the server is stopped, killed and started again under load, whatever was acknowledged is kept, whatever
// failed is an ErrUnavailable, and afterwards all goes on by itself.
func TestOutages(t *testing.T) {
	server := postgrestest.Start(t)
	s := open(t, Options{DSN: server.DSN(), Wait: 3 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var kept sync.Map
	var acknowledged, failed atomic.Int64
	var load sync.WaitGroup
	for i := range 8 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("%d/%d", i, n)
				batch := put(key, key)
				batch.If = []store.Check{{Key: key}} // so that a commit made twice would be seen
				batch.Then = append(batch.Then, store.Op{Put: &store.Record{Key: key + "/second"}})
				switch err := s.Commit(t.Context(), batch); {
				case err == nil:
					kept.Store(key, true)
					acknowledged.Add(1)
				case errors.Is(err, store.ErrUnavailable):
					failed.Add(1)
				default:
					t.Errorf("commit %s: %v", key, err)
				}
			}
		})
	}
	more := func(what string) {
		t.Helper()
		began := acknowledged.Load()
		eventually(t, "commits after "+what, func() bool { return acknowledged.Load() >= began+100 })
	}
	more("the start")
	server.Stop()
	server.Resume()
	more("a stop")
	server.Kill()
	server.Resume()
	more("a crash")
	server.Pause()
	time.AfterFunc(4*time.Second, server.Continue) // longer than a call waits
	more("a pause")
	cancel()
	load.Wait()

	if failed.Load() == 0 {
		t.Error("no call failed, so the outages were none")
	}
	kept.Range(func(key, _ any) bool {
		r, err := s.Get(t.Context(), key.(string), key.(string)+"/second")
		if err != nil || string(r[0].Value) != key || r[1].Version == 0 {
			t.Errorf("%s was acknowledged: %+v, %v", key, r, err)
		}
		return true
	})
	t.Logf("%d acknowledged, %d failed", acknowledged.Load(), failed.Load())
}

// A server that is not there is an ErrUnavailable, in time.
func TestNoServer(t *testing.T) {
	server := postgrestest.Start(t)
	s := open(t, Options{DSN: server.DSN(), Wait: time.Second})
	server.Stop()
	began := time.Now()
	err := s.Commit(t.Context(), put("k", "v"))
	if !errors.Is(err, store.ErrUnavailable) || time.Since(began) > 3*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := s.Get(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
	if _, err := Open(t.Context(), Options{DSN: server.DSN(), Wait: 100 * time.Millisecond}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("opening: %v", err)
	}
}

// What is tried again certainly left no trace.
func TestOutcome(t *testing.T) {
	pg := func(severity, code string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: code})
	}
	for _, c := range []struct {
		name           string
		err            error
		last           bool
		unknown, again bool
	}{
		{"a statement's serialisation failure", pg("ERROR", "40001"), false, false, true},
		{"a commit's serialisation failure", pg("ERROR", "40001"), true, false, true},
		{"a deadlock", pg("ERROR", "40P01"), false, false, true},
		{"a shutdown before the commit", pg("FATAL", "57P01"), false, false, true},
		{"a shutdown at the commit", pg("FATAL", "57P01"), true, true, false},
		{"a commit that may have happened", pg("ERROR", "40003"), true, true, false},
		{"a resolution that is unknown", pg("ERROR", "08007"), true, true, false},
		{"a server that has become a standby", pg("ERROR", "25006"), false, false, true},
		{"a full disk", pg("ERROR", "53100"), false, false, false},
		{"the end of the connection", errors.New("unexpected EOF"), false, true, false},
		{"the end of the connection at the commit", errors.New("unexpected EOF"), true, true, false},
	} {
		err := outcome(c.last, c.err)
		if errors.Is(err, errUnknown) != c.unknown || again(err) != c.again {
			t.Errorf("%s: unknown %v, again %v", c.name, errors.Is(err, errUnknown), again(err))
		}
	}
}
