package command

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	log, err := audit.Open(audit.Options{Dir: dir, Signer: ring})
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{"acme", "demo-epr", "acme"} {
		if err := log.Append(t.Context(), caddymodule.AuditBatch, signing.AuditRecord{Client: client, Outcome: "signed"}); err != nil {
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
	if !verdict.Holds || verdict.Report.Entries != 5 || verdict.Report.Heads != 1 || len(verdict.Report.Unknown) != 0 {
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
	if err == nil || !strings.Contains(out, "does NOT hold") || !strings.Contains(out, "line 2: the line was changed") {
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
	if err != nil || !strings.Contains(out, "which is not among the trusted keys") {
		t.Errorf("%v\n%s", err, out)
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
