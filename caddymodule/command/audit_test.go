package command

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/signing"
)

// auditHome is a data directory with a log of three records, signed by the keys in its storage.
func auditHome(t *testing.T) (dir string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	dir = filepath.Join(home, "caddy", "countersign", "audit")
	ring := jwks.NewRing(caddymodule.NewVault(&certmagic.FileStorage{Path: filepath.Join(home, "caddy")}), jwks.RingOptions{Name: caddymodule.OwnKeysName})
	log, err := audit.Open(audit.Options{Dir: dir, Signer: caddymodule.AuditSigner{Ring: ring}, Host: "gw-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{"acme", "demo-epr", "acme"} {
		if _, err := log.Append(t.Context(), caddymodule.AuditBatch, signing.AuditRecord{Client: client, Outcome: "signed"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func runAudit(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out, told bytes.Buffer
	cmd := auditCommand()
	cmd.SetArgs(append([]string{}, args...)) // never nil, which stands for those of the test process
	cmd.SetOut(&out)
	cmd.SetErr(&told)
	err = cmd.ExecuteContext(context.Background())
	return out.String(), err
}

func TestAuditVerify(t *testing.T) {
	dir := auditHome(t)
	out, err := runAudit(t, "verify", "--json")
	if err != nil {
		t.Fatal(err, out)
	}
	var verdict auditVerdict
	if err := json.Unmarshal([]byte(out), &verdict); err != nil {
		t.Fatal(err)
	}
	if !verdict.Holds || verdict.Report.Node != "gw-1" || verdict.Report.Entries != 7 || verdict.Report.Heads != 2 || len(verdict.Report.Unknown) != 0 {
		t.Errorf("verdict %+v", verdict)
	}
	file := filepath.Join(dir, "audit-000001.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte("demo-epr"), []byte("demo-epx"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = runAudit(t, "verify")
	if err == nil || !strings.Contains(out, "does NOT hold") || !strings.Contains(out, "line 5: the line was changed") {
		t.Errorf("after a change: %v\n%s", err, out)
	}
}

func TestAuditVerifyWithOtherKeys(t *testing.T) {
	auditHome(t)
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	jwk := `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"other","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}]}`
	if err := os.WriteFile(file, []byte(jwk), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runAudit(t, "verify", "--keys", file)
	if !errors.Is(err, errTold) || !strings.Contains(out, "which is not among the trusted keys") {
		t.Errorf("got %v, want a log that does not hold:\n%s", err, out)
	}
	if out, err := runAudit(t, "head", "--keys", file); err == nil || out != "" {
		t.Errorf("the head of a log that does not hold is printed: %v\n%s", err, out)
	}
}

// A head that was printed once is demanded later.
func TestAuditHead(t *testing.T) {
	dir := auditHome(t)
	printed, err := runAudit(t, "head")
	if err != nil {
		t.Fatal(err)
	}
	head := strings.TrimSpace(printed)
	if !strings.HasPrefix(head, "gw-1/7:") {
		t.Errorf("got %q, want the last head of gw-1", head)
	}
	var told audit.Head
	if out, err := runAudit(t, "head", "--json"); err != nil || json.Unmarshal([]byte(out), &told) != nil || told.String() != head || told.KID == "" {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
	if out, err := runAudit(t, "verify", "--head", head, "--head", head[len("gw-1/"):]); err != nil {
		t.Errorf("the log that it is of: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "audit-000001.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(file, []byte(strings.Join(lines[:3], "")), 0o600); err != nil { // to the first head
		t.Fatal(err)
	}
	if out, err := runAudit(t, "verify"); err != nil {
		t.Errorf("cut back, without a head: %v\n%s", err, out)
	}
	if out, err := runAudit(t, "verify", "--head", head); err == nil || !strings.Contains(out, "the log ends at entry 3, before the head "+head) {
		t.Errorf("cut back: %v\n%s", err, out)
	}
	if _, err := runAudit(t, "verify", "--head", "7"); err == nil || !strings.Contains(err.Error(), `--head: "7" is not a head such as`) {
		t.Errorf("a bad head is told as %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if out, err := runAudit(t, "verify"); err == nil || !strings.Contains(out, "the log is empty") {
		t.Errorf("emptied: %v\n%s", err, out)
	}
}

// The gateway's own keys rotate as they do, over three changes; a key set that was saved at any time verifies all of it.
func TestAuditOverRotations(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	dir, storage := t.TempDir(), &certmagic.FileStorage{Path: t.TempDir()}
	ring := jwks.NewRing(caddymodule.NewVault(storage), jwks.RingOptions{Name: caddymodule.OwnKeysName, Now: clock})
	var saved [][]byte
	for n := range 32 { // each ten days, with the gateway down in between; a key is published for seven days before it signs
		log, err := audit.Open(audit.Options{Dir: dir, Signer: caddymodule.AuditSigner{Ring: ring}, Host: "gw-1", Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), caddymodule.AuditBatch, n); err != nil {
			t.Fatal(err)
		}
		set, err := ring.PublicSet(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, set)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(10 * day)
	}
	for n, set := range saved {
		report, err := audit.Verify(dir, audit.Evidence{Keys: [][]byte{set}})
		if err != nil || len(report.KIDs) < 4 || len(report.Unknown) > 0 {
			t.Errorf("with the set of day %d: %v, %+v", n*10, err, report)
		}
	}
}

func TestAuditExport(t *testing.T) {
	auditHome(t)
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, 3},
		{[]string{"--client", "acme"}, 2},
		{[]string{"--until", "2020-01-01T00:00:00Z"}, 0},
		{[]string{"--since", "2020-01-01T00:00:00Z"}, 3},
	} {
		out, err := runAudit(t, append([]string{"export"}, c.args...)...)
		if err != nil || strings.Count(out, "\n") != c.want {
			t.Errorf("%v: %v, %d lines, want %d\n%s", c.args, err, strings.Count(out, "\n"), c.want, out)
		}
	}
	if _, err := runAudit(t, "export", "--since", "yesterday"); err == nil || !strings.Contains(err.Error(), `--since "yesterday"`) {
		t.Errorf("a bad time is told as %v", err)
	}
	if _, err := runAudit(t, "verify", "--dir", filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a log that is not there is verified")
	}
}
