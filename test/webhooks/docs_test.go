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

// The ways to verify that docs/webhooks.md shows work as they stand there, and refuse what was changed.
func TestExamplesOfThePage(t *testing.T) {
	w := newWorld(t, options{})
	w.signed()
	got := w.receiver.await(1)[0]
	page, err := os.ReadFile(filepath.Join(gateway.Root(t), "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(got.body, []byte(`"signed"`), []byte(`"failed"`), 1)
	if bytes.Equal(changed, got.body) {
		t.Fatalf("%s says nothing of signed", got.body)
	}
	for name, run := range map[string]func(dir string) error{"js": w.node(page, got), "sh": w.shell(page, got)} {
		dir := t.TempDir()
		for body, holds := range map[string]bool{string(got.body): true, string(changed): false} {
			if err := os.WriteFile(filepath.Join(dir, "body"), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(dir); (err == nil) != holds {
				t.Errorf("%s: a webhook that holds: %t: %v", name, holds, err)
			}
		}
	}
}

// block is the page's first block of code in a language.
func block(t *testing.T, page []byte, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(string(page), "\n```"+language+"\n")
	code, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("the page has no block of %s", language)
	}
	return code
}

// node runs the page's function on what came.
func (w *world) node(page []byte, got arrival) func(dir string) error {
	w.t.Helper()
	const caller = `import { readFileSync } from "node:fs";
import { verifyWebhook } from "./verify.mjs";
const { headers, jwks } = JSON.parse(readFileSync("told.json", "utf8"));
console.log(verifyWebhook(headers, readFileSync("body"), jwks).data.token);
`
	headers := map[string]string{}
	for name := range got.header {
		headers[strings.ToLower(name)] = got.header.Get(name)
	}
	told, err := json.Marshal(map[string]any{
		"headers": headers, "jwks": json.RawMessage(gateway.Get(w.t, w.URL("GATEWAY", "/signing/jwks.json"), nil).Body),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	code := block(w.t, page, "js")
	return func(dir string) error {
		for name, text := range map[string]string{"verify.mjs": code, "caller.mjs": caller, "told.json": string(told)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				return err
			}
		}
		cmd := exec.Command("node", "caller.mjs")
		cmd.Dir = dir
		out, err := cmd.Output()
		if err == nil && strings.TrimSpace(string(out)) != got.event(w.t).Data.Token {
			w.t.Errorf("node read the token %s", out)
		}
		return err
	}
}

// shell runs the page's commands on what came.
func (w *world) shell(page []byte, got arrival) func(dir string) error {
	w.t.Helper()
	const address = "https://sign.example.nhs.uk/signing-service"
	code := block(w.t, page, "sh")
	if !strings.Contains(code, address) {
		w.t.Fatalf("the page's commands do not ask %s", address)
	}
	code = strings.ReplaceAll(code, address, w.URL("GATEWAY", "/signing"))
	return func(dir string) error {
		cmd := exec.Command("sh", "-c", code)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "ID="+got.header.Get("Webhook-Id"), "STAMP="+got.header.Get("Webhook-Timestamp"),
			"SIGNATURE="+got.header.Get("Webhook-Signature"))
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "Signature Verified Successfully") {
			return nil
		}
		if err == nil {
			err = os.ErrInvalid
		}
		w.t.Logf("the shell said %s", out)
		return err
	}
}
