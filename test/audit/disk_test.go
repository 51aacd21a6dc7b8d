package audit_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// smallDisk mounts a file system of its own, in memory.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "mounted")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0700,size=256k", "countersign-audit", dir).CombinedOutput(); err != nil {
		t.Fatalf("this test mounts a file system of its own and fills it: run it as root: %v %s", err, said)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
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

// TestFullDisk fills the disk of the audit log. It is a problem before anybody needs it, the gateway is not ready, and what
// needs a record is refused; with room again all of it ends by itself, and the log says how long it was so.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t)
	w := newWorld(t, filepath.Join(disk, "audit"), "", "")
	w.tokens(1)
	ready := func() int { return gateway.Get(t, w.URL("ADMIN", "/countersign/ready"), nil).Status }
	health := func(path string) string {
		var answer struct{ Status string }
		gateway.Get(t, w.URL("GATEWAY", path), http.Header{"Apikey": {"secret"}}).JSON(t, &answer)
		return answer.Status
	}
	well := func() {
		t.Helper()
		w.awaitProblem("")
		if ready() != http.StatusOK || health("/signing/_status") != "pass" || health("/oauth2/_status") != "pass" {
			t.Errorf("ready %d, signing %s, tokens %s", ready(), health("/signing/_status"), health("/oauth2/_status"))
		}
		if got := w.metric(`countersign_audit_failing{node="gw-1"}`); got != "0" {
			t.Errorf("the metric is %q", got)
		}
	}
	well()
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	w.awaitProblem("The audit log cannot be written") // nobody has asked for anything
	refused := 0
	for range 100 { // until the last page of the log is full, too
		if got := w.token(); got.StatusCode == http.StatusServiceUnavailable && got.Header.Get("Retry-After") != "" {
			if refused++; refused == 3 {
				break
			}
		}
	}
	if refused != 3 {
		t.Errorf("%d tokens were refused with 503", refused)
	}
	w.awaitProblem("The audit log cannot be written")
	if ready() != http.StatusServiceUnavailable || health("/signing/_status") != "fail" || health("/oauth2/_status") != "fail" {
		t.Errorf("ready %d, signing %s, tokens %s", ready(), health("/signing/_status"), health("/oauth2/_status"))
	}
	if got := w.metric(`countersign_audit_failing{node="gw-1"}`); got != "1" {
		t.Errorf("the metric is %q", got)
	}
	if said := w.Output(); !strings.Contains(said, `"level":"error"`) || !strings.Contains(said, "the audit log cannot be written") {
		t.Error("the log does not say so at level error")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	well()
	w.tokens(1)
	w.Stop()
	w.verify("", "--dir", w.dir)
	kinds := ""
	for _, e := range readLog(t, w.dir) {
		kinds += " " + e.Kind
	}
	if !strings.Contains(kinds, " interrupted") {
		t.Errorf("the log holds%s", kinds)
	}
}
