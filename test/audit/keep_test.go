package audit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// receiver is a client's webhook. It takes everything.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	told []string // the position that each webhook carried, as audit verify takes it
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		var event struct {
			Data struct {
				Audit struct {
					Node, Hash string
					Number     int
				}
			}
		}
		if err := json.NewDecoder(request.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		at := event.Data.Audit
		r.told = append(r.told, fmt.Sprintf("%s/%d:%s", at.Node, at.Number, at.Hash))
	}))
	t.Cleanup(r.Close)
	return r
}

// first is what the first webhook carried.
func (r *receiver) first() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.told) == 0 {
		return ""
	}
	return r.told[0]
}

// TestKeep lets months pass, by the clock of a fault build. Files go when they are older than keep, behind a record of them,
// no further than what was handed outside, and not while a hold stands. Keys rotate meanwhile, and the set that was saved
// on the first day verifies all of it.
func TestKeep(t *testing.T) {
	hook := newReceiver(t)
	clock := filepath.Join(t.TempDir(), "clock")
	var ahead atomic.Int64
	pass := func(days int) {
		t.Helper()
		ahead.Add(int64(days) * int64(24*time.Hour))
		if err := os.WriteFile(clock+".new", []byte(time.Duration(ahead.Load()).String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(clock+".new", clock); err != nil {
			t.Fatal(err)
		}
	}
	pass(0)
	w := newWorld(t, filepath.Join(t.TempDir(), "audit"), "keep 40d", "webhook "+hook.URL, gateway.Built(gateway.FaultBinary(t)), gateway.Env("COUNTERSIGN_FAULT_CLOCK="+clock))
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	saved := filepath.Join(t.TempDir(), "saved.jwks")
	if err := os.WriteFile(saved, gateway.Get(t, w.URL("GATEWAY", "/signing/jwks.json"), nil).Body, 0o600); err != nil {
		t.Fatal(err)
	}

	// A webhook hands its record outside.
	w.signed()
	if !gateway.Eventually(patience, func() bool { return hook.first() != "" }) {
		t.Fatal("no webhook comes")
	}
	carried := hook.first()
	w.verify("", "--dir", w.dir, "--keys", saved, "--head", carried)
	w.tokens(1)

	var heads []string
	for range 5 {
		pass(31)
		w.tokens(1)
		head := w.status().Audit.Head // made before the token was recorded, in a new file
		heads = append(heads, fmt.Sprintf("gw-1/%d:%s", head.Number, head.Hash))
	}
	files := func() (names []string) {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(w.dir, "audit-*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			names = append(names, filepath.Base(path))
		}
		return names
	}
	if got := files(); len(got) != 6 {
		t.Fatalf("the log has %v, want a file a month", got)
	}
	if s := w.status().Audit.Handed; carried != fmt.Sprintf("gw-1/%d:%s", s.Number, s.Hash) || !strings.HasPrefix(s.To, "client acme") {
		t.Errorf("handed outside: %+v, want %s", s, carried)
	}
	const waiting = "Files of the audit log are older than keep and wait for a head to be handed outside"
	w.awaitProblem(waiting) // what the webhook carried is in the midst of the first file
	if got := w.metric(`countersign_audit_files_waiting{node="gw-1"}`); got != "3" {
		t.Errorf("%q files wait, want 3", got)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := w.run(args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("hold", "claim 4711")
	if _, err := w.run("handed", strings.Replace(heads[1], "gw-1", "gw-2", 1), "--to", "paper"); err == nil || !strings.Contains(err.Error(), "does not contain this head") {
		t.Errorf("a head of another node is taken: %v", err)
	}
	if out := must("handed", heads[1], "--to", "paper"); !strings.Contains(out, "a hold has been in place since") || !strings.Contains(out, "claim 4711") {
		t.Errorf("the hold is not told:\n%s", out)
	}
	w.awaitAudit("nothing but the third file waits", func(s status) bool { return s.Audit.Due == 3 && s.Audit.Waiting == 1 && s.Audit.Hold != nil })
	if got := files(); len(got) != 6 {
		t.Errorf("during the hold the log has %v", got)
	}
	whole := copied(t, w.dir)
	must("hold", "--end")
	w.awaitAudit("one file is due", func(s status) bool { return s.Audit.Due == 1 && s.Audit.Waiting == 1 && s.Audit.Hold == nil })
	if got := files(); len(got) != 4 || got[0] != "audit-000003.jsonl" {
		t.Errorf("after the hold the log has %v, want those from the third on", got)
	}
	w.Stop()
	w.Restart()
	w.tokens(1)
	w.Stop()
	if v := w.verify("", "--dir", w.dir, "--keys", saved, "--head", heads[2], "--head", heads[4]); len(v.Report.KIDs) < 2 || len(v.Report.Removals) != 1 || v.Report.From == 1 {
		t.Errorf("the report says %+v", v.Report)
	}
	w.verify("since earlier files were removed", "--dir", w.dir, "--keys", saved, "--head", carried)
	w.verify("", "--dir", whole, "--keys", saved, "--head", carried)
	if err := os.Remove(filepath.Join(w.dir, "audit-000003.jsonl")); err != nil {
		t.Fatal(err)
	}
	w.verify("no signed record says that they were removed", "--dir", w.dir, "--keys", saved)
}

func (w *world) awaitAudit(what string, done func(status) bool) (s status) {
	w.t.Helper()
	if !gateway.Eventually(patience, func() bool { s = w.status(); return done(s) }) {
		w.t.Fatalf("waited in vain until %s: %+v", what, s.Audit)
	}
	return s
}
