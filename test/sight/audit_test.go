package sight_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// countersign runs a command of the built binary on the gateway's own data.
func countersign(t *testing.T, g *gateway.Gateway, args ...string) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gateway.Binary(t), append([]string{"countersign"}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+filepath.Dir(g.Data("")))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What was signed stands in the audit log, which holds over a kill of the gateway, and of which nothing can be changed
// unseen.
func TestAudit(t *testing.T) {
	g, system, _ := start(t)
	journey(t, system)
	g.Kill()
	g.Restart()
	journey(t, system)
	g.Stop()
	said, err := countersign(t, g, "audit", "verify", "--json")
	var verdict struct {
		Holds  bool
		Report struct{ Heads, Unsigned int }
	}
	if err != nil || json.Unmarshal([]byte(said), &verdict) != nil || !verdict.Holds || verdict.Report.Heads == 0 || verdict.Report.Unsigned != 0 {
		t.Fatalf("%v: %s", err, said)
	}
	records, err := countersign(t, g, "audit", "export", "--client", "acme")
	if err != nil || strings.Count(records, `"outcome":"signed"`) != 2 || strings.Count(records, `"sha256"`) != 2*(3+1) {
		t.Errorf("%v: two batches of three items are exported as\n%s", err, records)
	}
	log := g.Data("countersign/audit/audit-000001.jsonl")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, []byte(strings.Replace(string(text), `"client":"acme"`, `"client":"away"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := countersign(t, g, "audit", "verify"); err == nil || !strings.Contains(said, "does NOT hold") {
		t.Errorf("a changed log is told as %v: %s", err, said)
	}
}
