package tokens_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Whatever a client is written in, it gets a token and calls a protected API with it.
func TestIndependentClients(t *testing.T) {
	w := newWorld(t)
	clients := map[string][]string{
		"openssl and curl":     {"sh", "client.sh"},
		"Node's openid-client": {"node", "client.mjs"},
		"python3-authlib":      {"/usr/bin/python3", "client.py"},
		"PHP":                  {"php", "client.php"},
	}
	run := func(t *testing.T, command []string, change ...string) (string, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env = append(append(os.Environ(), "TOKEN_URL="+w.tokenURL(), "API_URL="+w.URL("GATEWAY", "/api/x"),
			"CLIENT_ID=acme", "KID=acme-1", "KEY="+w.keys["acme"].Private, "NO_PROXY=localhost", "no_proxy=localhost"), change...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Logf("%s: %v\n%.500s%.1000s", command[1], err, out, stderr.String())
		}
		return string(out), err
	}
	for name, command := range clients {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second has a jti of its own
				if out, err := run(t, command); err != nil || strings.TrimSpace(out) != "hello acme signing []" {
					t.Fatalf("it says %q (%v)", out, err)
				}
			}
			if _, err := run(t, command, "KID=acme-2"); err == nil {
				t.Error("it says nothing of a refusal, so it cannot fail")
			}
		})
	}
}
