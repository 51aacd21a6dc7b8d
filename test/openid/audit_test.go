package openid_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// An audit log on a full disk: no token is told, and none is spent. With room again the same refresh token works.
func TestRefreshWhileTheAuditLogCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mounted")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0700,size=128k", "countersign-audit", dir).CombinedOutput(); err != nil {
		t.Fatalf("this test mounts a file system of its own and fills it: run it as root: %v %s", err, said)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	w := newWorld(t, func(w *world) { w.store = "badger\n\t\taudit {\n\t\t\tdir " + filepath.Join(dir, "audit") + "\n\t\t}" })
	token := w.tokens(t, alice).field("refresh_token")
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	var got answer
	for range 100 { // until the last page of the log is full, too
		if got = w.post(t, w.refreshing(token)); got.status != http.StatusOK {
			break
		}
		token = got.field("refresh_token")
	}
	for range 3 {
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || got.field("refresh_token") != "" {
			t.Fatalf("%d %s", got.status, got.body)
		}
		got = w.post(t, w.refreshing(token))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	next := w.post(t, w.refreshing(token))
	if next.status != http.StatusOK {
		t.Fatalf("with room again: %d %s", next.status, next.body)
	}
	w.mustWork(t, next.field("access_token"), alice)
	mustTell(t, w.post(t, w.refreshing(token)), 401, "invalid_grant", refreshInvalid) // now it was used
}

// fill takes all that is left of a disk.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// The gateway is killed when the record of a token stands and its commit waits for a lock in the database. Nothing is
// spent: the client, which got no answer, asks again with the same refresh token.
func TestKillBetweenAuditAndCommit(t *testing.T) {
	database := postgrestest.Start(t, "max_prepared_transactions=1")
	t.Setenv("OPENID_DATABASE_URL", database.DSN())
	w := newWorld(t, func(w *world) { w.store = "postgres {env.OPENID_DATABASE_URL}" })
	w.MustNotLog(postgrestest.Password)
	token := w.tokens(t, alice).field("refresh_token")
	records := func() int {
		text, err := os.ReadFile(w.Data("countersign/audit/audit-000001.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte(`"grant":"refresh_token"`))
	}
	before := records()
	// A transaction that is prepared holds its locks without a connection.
	database.SQL(postgrestest.Database, "BEGIN; LOCK TABLE countersign.records IN SHARE ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'held'")
	told := make(chan struct{})
	go func() {
		defer close(told)
		if response, err := http.PostForm(w.base()+"/token", w.refreshing(token)); err == nil {
			response.Body.Close()
			t.Errorf("it is answered: %d", response.StatusCode)
		}
	}()
	w.op.Await("a record before the commit", time.Minute, func() error {
		if records() == before {
			return errors.New("there is none")
		}
		return nil
	})
	w.Kill()
	<-told
	database.SQL("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+postgrestest.Database+"'")
	database.SQL(postgrestest.Database, "ROLLBACK PREPARED 'held'")
	w.Restart()
	next := w.post(t, w.refreshing(token))
	if next.status != http.StatusOK || next.field("refresh_count") != "1" {
		t.Fatalf("the same refresh token: %d %s", next.status, next.body)
	}
	w.mustWork(t, next.field("access_token"), alice)
}
