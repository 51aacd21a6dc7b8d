package audit_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// append chains an entry to a log that nobody has open.
func (w *world) append(kind string, data func(seq int, prev string) []byte) {
	w.t.Helper()
	path := filepath.Join(w.dir, logFile)
	entries := readLog(w.t, w.dir)
	last := entries[len(entries)-1]
	e := entry{Seq: last.Seq + 1, Time: last.Time, Prev: last.Hash, Kind: kind, Data: data(last.Seq, last.Hash)}
	line, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	line = line[:len(line)-1]
	sum := sha256.Sum256(line)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	if _, err := fmt.Fprintf(file, "%s,\"hash\":%q}\n", line, hex.EncodeToString(sum[:])); err != nil {
		w.t.Fatal(err)
	}
}

// TestAPlantedKey has a thief introduce a key while the gateway is stopped, which then signs over it, and go on with the
// log by that key. Who saved the gateway's keys before is not taken in.
func TestAPlantedKey(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "audit"), "", "")
	saved := filepath.Join(t.TempDir(), "saved.jwks")
	if err := os.WriteFile(saved, gateway.Get(t, w.URL("GATEWAY", "/signing/jwks.json"), nil).Body, 0o600); err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.tokens(1)
	w.Stop()
	w.append("key", func(int, string) []byte {
		return fmt.Appendf(nil, `{"kid":"thief","jwk":{"kty":"OKP","crv":"Ed25519","kid":"thief","x":%q}}`, base64.RawURLEncoding.EncodeToString(public))
	})
	w.Restart()
	w.tokens(1)
	w.Stop()
	w.verify("", "--dir", w.dir, "--keys", saved)
	w.append("head", func(seq int, prev string) []byte {
		signature := ed25519.Sign(private, fmt.Appendf(nil, "countersign audit head\n%d\n%s", seq, prev))
		return fmt.Appendf(nil, `{"kid":"thief","signature":%q,"v":2}`, base64.StdEncoding.EncodeToString(signature))
	})
	w.verify("signed by thief, which is not among the trusted keys", "--dir", w.dir, "--keys", saved)
	w.verify("signed by thief, which is not among the trusted keys", "--dir", w.dir) // by the keys in the storage
}
