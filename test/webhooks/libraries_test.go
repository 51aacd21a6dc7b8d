package webhooks_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// verifyAll has both libraries verify each case, and prints for each whether it holds.
const verifyAll = `import { readFileSync } from "node:fs";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";
const holds = {};
for (const [name, { secret, headers, body }] of Object.entries(JSON.parse(readFileSync(0, "utf8"))))
  for (const [library, Webhook] of Object.entries({ standardwebhooks: Standard, svix: Svix }))
    try {
      new Webhook(secret).verify(Buffer.from(body, "base64"), headers);
      holds[library + ": " + name] = true;
    } catch {
      holds[library + ": " + name] = false;
    }
console.log(JSON.stringify(holds));
`

// TestLibrariesVerify: the libraries of Standard Webhooks and Svix verify the signature v1 and skip those of v1a beside it.
func TestLibrariesVerify(t *testing.T) {
	const secret, other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, options{secret: "{file." + path + "}"})
	w.MustNotLog(strings.TrimPrefix(secret, "whsec_"))
	w.signed()
	got := w.receiver.await(1)[0]
	w.verify(got) // v1a

	type delivery struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    []byte            `json:"body"`
	}
	headers := map[string]string{}
	for name := range got.header {
		headers[strings.ToLower(name)] = got.header.Get(name)
	}
	var ed25519 []string
	for _, signature := range strings.Fields(headers["webhook-signature"]) {
		if strings.HasPrefix(signature, "v1a,") {
			ed25519 = append(ed25519, signature)
		}
	}
	if all := len(strings.Fields(headers["webhook-signature"])); len(ed25519) == 0 || all != len(ed25519)+1 {
		t.Fatalf("got the signatures %q, want one of v1 beside those of v1a", headers["webhook-signature"])
	}
	without := map[string]string{}
	for name, value := range headers {
		without[name] = value
	}
	without["webhook-signature"] = strings.Join(ed25519, " ")
	cases, want := map[string]delivery{
		"as it came":       {secret, headers, got.body},
		"a changed body":   {secret, headers, bytes.Replace(got.body, []byte(`"signed"`), []byte(`"failed"`), 1)},
		"another secret":   {other, headers, got.body},
		"signed v1a alone": {secret, without, got.body},
	}, map[string]bool{"as it came": true}

	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "--input-type=module", "-e", verifyAll)
	cmd.Dir, cmd.Stdin = filepath.Join(gateway.Root(t), "test", "webhooks"), bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	var holds map[string]bool
	if err := json.Unmarshal(out, &holds); err != nil {
		t.Fatalf("node printed %s: %v", out, err)
	}
	for _, library := range []string{"standardwebhooks", "svix"} {
		for name := range cases {
			if verified, told := holds[library+": "+name]; !told || verified != want[name] {
				t.Errorf("%s: %s: got verified %t, want %t", library, name, verified, want[name])
			}
		}
	}
}
