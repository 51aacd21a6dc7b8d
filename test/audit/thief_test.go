package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

func asExit(err error, exit **exec.ExitError) bool { return errors.As(err, exit) }

// entry is a line of a log, as far as a forger has to know it.
type entry struct {
	Seq  int             `json:"seq"`
	Time string          `json:"time"`
	Prev string          `json:"prev"`
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
	Hash string          `json:"hash,omitempty"` // of the others; not among what is hashed
}

const logFile = "audit-000001.jsonl"

func readLog(t *testing.T, dir string) (all []entry) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// forge chains entries anew, as whoever can write to the directory can. Each may be changed, with what stands before it
// known; with keep false it is left out.
func forge(t *testing.T, entries []entry, change func(e *entry) (keep bool)) (dir string) {
	t.Helper()
	var text bytes.Buffer
	seq, prev := 0, ""
	for _, e := range entries {
		e.Seq, e.Prev, e.Hash = seq+1, prev, ""
		if !change(&e) {
			continue
		}
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		line = line[:len(line)-1]
		sum := sha256.Sum256(line)
		seq, prev = e.Seq, hex.EncodeToString(sum[:])
		fmt.Fprintf(&text, "%s,\"hash\":%q}\n", line, prev)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, logFile), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// resigned has every head signed by a key of the thief's own, under a name of its own or the gateway's.
func resigned(t *testing.T, entries []entry, kid string) (dir string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return forge(t, entries, func(e *entry) bool {
		switch e.Kind {
		case "key":
			e.Data = fmt.Appendf(nil, `{"kid":%q,"jwk":{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}}`, kid, kid, base64.RawURLEncoding.EncodeToString(public))
		case "head":
			signature := ed25519.Sign(private, fmt.Appendf(nil, "countersign audit head\n%d\n%s", e.Seq-1, e.Prev))
			e.Data = fmt.Appendf(nil, `{"kid":%q,"signature":%q,"v":2}`, kid, base64.StdEncoding.EncodeToString(signature))
		}
		return true
	})
}

// cut is a log that ends with its nth head.
func cut(t *testing.T, dir string, heads int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil {
		t.Fatal(err)
	}
	to, left := t.TempDir(), []byte(nil)
	for line := range bytes.Lines(text) {
		if heads == 0 {
			break
		}
		left = append(left, line...)
		if bytes.Contains(line, []byte(`"kind":"head"`)) {
			heads--
		}
	}
	if err := os.WriteFile(filepath.Join(to, logFile), left, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestAThief does to the log what somebody on the machine can do, and asks the command that an auditor has, with the key
// set that was saved when all was well, and the head that was printed then.
func TestAThief(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "audit"), "", "")
	saved := filepath.Join(t.TempDir(), "saved.jwks")
	if err := os.WriteFile(saved, gateway.Get(t, w.URL("GATEWAY", "/signing/jwks.json"), nil).Body, 0o600); err != nil {
		t.Fatal(err)
	}
	w.signed()
	w.tokens(3)
	w.Stop()
	w.Restart()
	w.tokens(2)
	w.Stop()
	kept := w.head(w.dir)
	whole := w.verify("", "--dir", w.dir, "--keys", saved, "--head", kept)
	if whole.Report.Node != "gw-1" || whole.Report.Heads != 3 || whole.Report.Unsigned != 0 || !whole.Report.Trusted || !strings.HasPrefix(kept, "gw-1/") {
		t.Errorf("the log as it was: %+v, head %s", whole.Report, kept)
	}
	entries := readLog(t, w.dir)
	gatewaysKid := whole.Report.KIDs[0]
	empty, emptied := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(emptied, logFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ dir, want, withoutHead string }{
		"emptied":                          {emptied, "the log is empty", "the log is empty"},
		"all files taken out":              {empty, "the log is empty", "the log is empty"},
		"cut back to an earlier head":      {cut(t, w.dir, 2), "before the head " + kept, ""},
		"signed anew":                      {resigned(t, entries, "thief"), "entry 12 is not the one of the head that was kept", "signed by thief, which is not among the trusted keys"},
		"signed anew under the same name":  {resigned(t, entries, gatewaysKid), "introduces another key as " + gatewaysKid, "introduces another key"},
		"without heads":                    {forge(t, entries, func(e *entry) bool { return e.Kind != "head" }), "no head", "no head"},
		"without the last head":            {forge(t, entries, func(e *entry) bool { return e.Seq < len(entries) }), "before the head " + kept, ""},
		"a record taken out":               {forge(t, entries, func(e *entry) bool { return e.Kind != "signing" }), "signature is invalid", "signature is invalid"},
		"a record changed":                 {forge(t, entries, changed), "signature is invalid", "signature is invalid"},
		"the heads of the first part only": {forge(t, entries[:len(entries)-1], func(*entry) bool { return true }), "before the head " + kept, ""},
	} {
		t.Run(name, func(t *testing.T) {
			at := &world{Gateway: w.Gateway, t: t, dir: row.dir, now: w.now}
			at.verify(row.want, "--dir", row.dir, "--keys", saved, "--head", kept)
			at.verify(row.withoutHead, "--dir", row.dir) // against the gateway's keys in its storage, which are the same
		})
	}
}

func changed(e *entry) bool {
	e.Data = bytes.Replace(e.Data, []byte(`"client":"acme"`), []byte(`"client":"away"`), 1)
	return true
}
