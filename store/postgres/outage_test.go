package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// Idle connections of the pool that are closed by the server are replaced, and no caller notices.
func lostConnections(t *testing.T, server *postgrestest.Server) {
	s := open(t, Options{DSN: server.DSN(), Schema: newSchema()})
	both(func(int) {
		if err := s.Commit(t.Context(), put("k", "v")); err != nil {
			t.Error(err)
		}
	})
	// When this returns the connections have ended; one still ending might commit and not answer.
	server.SQL("postgres", "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '"+postgrestest.Database+"'")
	for i := range 4 {
		if err := s.Commit(t.Context(), put(fmt.Sprint(i), "v")); err != nil {
			t.Errorf("commit %d: %v", i, err)
		}
	}
}

// load is eight callers that commit continuously and remember what was acknowledged.
type load struct {
	*Store
	t            *testing.T
	end          context.CancelFunc
	callers      sync.WaitGroup
	kept         sync.Map
	acknowledged atomic.Int64
	failed       atomic.Int64
}

func begin(t *testing.T, s *Store) *load {
	l := &load{Store: s, t: t}
	var ctx context.Context
	ctx, l.end = context.WithCancel(t.Context())
	for i := range 8 {
		l.callers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.commit(fmt.Sprintf("%d/%d", i, n))
			}
		})
	}
	return l
}

func (l *load) commit(key string) {
	batch := put(key, key)
	batch.If = []store.Check{{Key: key}} // to detect a commit that is applied twice
	batch.Then = append(batch.Then, store.Op{Put: &store.Record{Key: key + "/second"}})
	switch err := l.Commit(l.t.Context(), batch); {
	case err == nil:
		l.kept.Store(key, true)
		l.acknowledged.Add(1)
	case errors.Is(err, store.ErrUnavailable):
		l.failed.Add(1)
	default:
		l.t.Errorf("commit %s: got %v, want success or ErrUnavailable", key, err)
	}
}

// more waits until callers make progress.
func (l *load) more(after string) {
	l.t.Helper()
	began := l.acknowledged.Load()
	eventually(l.t, "commits after "+after, func() bool { return l.acknowledged.Load() >= began+100 })
}

// over ends the load and checks that everything acknowledged is there.
func (l *load) over() {
	l.t.Helper()
	l.end()
	l.callers.Wait()
	l.kept.Range(func(key, _ any) bool {
		r, err := l.Get(l.t.Context(), key.(string), key.(string)+"/second")
		if err != nil || string(r[0].Value) != key || r[1].Version == 0 {
			l.t.Errorf("acknowledged record %s: got %+v, %v", key, r, err)
		}
		return true
	})
	l.t.Logf("%d acknowledged, %d failed", l.acknowledged.Load(), l.failed.Load())
}

// While the server is stopped, killed and restarted under load, everything acknowledged is kept, every failure is
// ErrUnavailable, and service resumes by itself.
func TestOutages(t *testing.T) {
	server := postgrestest.Start(t)
	l := begin(t, open(t, Options{DSN: server.DSN(), Wait: 3 * time.Second}))
	l.more("the start")
	server.Stop()
	server.Resume()
	l.more("a stop")
	server.Kill()
	server.Resume()
	l.more("a crash")
	server.Pause()
	time.AfterFunc(6*time.Second, server.Continue) // longer than a call waits
	l.more("a pause")
	l.over()
	if l.failed.Load() == 0 {
		t.Error("got no failed call, so the outages had no effect")
	}
}

// When a synchronous standby takes over from a primary that has ended for good, the callers find it with everything
// acknowledged. It may be so fast that no call fails.
func TestFailover(t *testing.T) {
	primary := postgrestest.Start(t)
	standby := postgrestest.Standby(t, primary)
	l := begin(t, open(t, Options{DSN: postgrestest.DSN(primary, standby), Wait: 10 * time.Second}))
	l.more("the start")
	primary.Kill()
	standby.Promote()
	l.more("the failover")
	l.over()
}

// A missing server is ErrUnavailable, within the time allowed.
func TestNoServer(t *testing.T) {
	server := postgrestest.Start(t)
	s := open(t, Options{DSN: server.DSN(), Wait: time.Second})
	patient := open(t, Options{DSN: server.DSN(), Wait: time.Hour})
	server.Stop()
	if err := s.Commit(t.Context(), put("k", "v")); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no success in 1s") {
		t.Errorf("Commit without a server: got %v, want ErrUnavailable after 1s", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := patient.Get(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a canceled context: got %v, want context.Canceled", err)
	}
	if _, err := Open(t.Context(), Options{DSN: server.DSN(), Wait: 100 * time.Millisecond}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open without a server: got %v, want ErrUnavailable", err)
	}
}

// Failures that are retried have certainly changed nothing.
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
			t.Errorf("%s: got unknown %v and again %v", c.name, errors.Is(err, errUnknown), again(err))
		}
	}
}
