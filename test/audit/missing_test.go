package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestTheStoreRemembers takes the log away, cuts it back and exchanges it while the gateway is stopped, and under its
// hands while it runs. It is told in the status, by a metric and in the log, until the log is back or retired.
func TestTheStoreRemembers(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "audit"), "", "")
	w.tokens(2)
	w.Stop()
	early := copied(t, w.dir)
	w.Restart()
	w.tokens(2)
	w.Stop()
	whole := copied(t, w.dir)
	kept := w.head(w.dir)

	start := func(from string) {
		t.Helper()
		if err := os.RemoveAll(w.dir); err != nil {
			t.Fatal(err)
		}
		if from != "" {
			if err := os.CopyFS(w.dir, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		}
		w.Restart()
	}
	told := func(what string) {
		t.Helper()
		problem := ""
		if what != "" {
			problem = "The audit log of node gw-1 does not match its last known head: " + what
		}
		w.awaitProblem(problem)
		if what == "" {
			return
		}
		if got := w.metric(`countersign_audit_missing{node="gw-1",what="` + what + `"}`); got != "1" {
			t.Errorf("the metric is %q", got)
		}
		if said := w.LastOutput(); !strings.Contains(said, `"level":"error"`) || !strings.Contains(said, "the audit log is not as the store remembers it") {
			t.Error("the log does not say so at level error")
		}
		if out, err := w.run("status"); err == nil || !strings.Contains(err.Error(), "gw-1 does not match its last known head: "+what) {
			t.Errorf("audit status says %s (%v)", out, err)
		}
	}
	start(early)
	told("shorter")
	w.verify("before the head "+kept, "--dir", w.dir, "--head", kept)
	w.Stop()
	start(whole) // it is back; what was written meanwhile is not
	told("another log")
	if _, err := w.run("retire", "gw-2"); err == nil || !strings.Contains(err.Error(), "remembers no audit log of this node") {
		t.Errorf("retiring a node that never was: %v", err)
	}
	if out, err := w.run("retire", "gw-1"); err != nil || !strings.Contains(out, "as remembered") {
		t.Errorf("%v: %s", err, out)
	}
	told("")
	w.verify("", "--dir", w.dir, "--head", kept)
	w.Stop()
	start("")
	told("gone")
	w.tokens(1) // the gateway works on
	if _, err := w.run("retire", "gw-1"); err != nil {
		t.Error(err)
	}
	told("")

	// While it runs.
	if err := os.Rename(w.dir, w.dir+".away"); err != nil {
		t.Fatal(err)
	}
	if got := w.token(); got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("with the log moved away a token is answered %d", got.StatusCode)
	}
	w.awaitProblem("The audit log cannot be written")
	if err := os.Rename(w.dir+".away", w.dir); err != nil {
		t.Fatal(err)
	}
	w.awaitProblem("")
	w.tokens(1)
	w.Stop()
	w.verify("", "--dir", w.dir)
}

// TestTheHeadIsTold: the log, the metric and the status carry the number and the hash of the same head, which the log
// contains.
func TestTheHeadIsTold(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "audit"), "", "")
	w.tokens(1)
	w.Reload(text(w.dir, "", "rate 1000/m")) // a head by the configuration that runs now
	w.tokens(1)
	w.Stop()
	w.Restart() // signs what stands there
	s := w.status()
	position := func(number, hash string) string { return number + ":" + hash }
	var metric string
	if !gateway.Eventually(patience, func() bool {
		s = w.status()
		metric = w.metric(`countersign_audit_head{hash="` + s.Audit.Head.Hash + `",node="gw-1"}`)
		return metric != ""
	}) {
		t.Fatal("no metric tells of the head in the status")
	}
	if s.Audit.Unsigned != 0 || s.Audit.Node != "gw-1" {
		t.Errorf("the status is %+v", s.Audit)
	}
	w.verify("", "--dir", w.dir, "--head", position(metric, s.Audit.Head.Hash))
	logged := false
	for line := range strings.Lines(w.Output()) {
		logged = logged || strings.Contains(line, "audit head signed") && strings.Contains(line, s.Audit.Head.Hash) && strings.Contains(line, `"number":`+metric)
	}
	if !logged {
		t.Error("no line of the log carries the head")
	}
}
