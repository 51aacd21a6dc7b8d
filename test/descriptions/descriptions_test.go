// Package descriptions_test holds the served OpenAPI descriptions to what others make of them: two linters find nothing, and
// clients that two generators make of them compile and work against the built binary.
package descriptions_test

import (
	"crypto/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// descriptions are all that is served, by the name of its part.
var descriptions = map[string]string{
	"signing": "signing/openapi/openapi.json",
	"oauth":   "oauth/openapi/openapi.json",
	"bars":    "bars/openapi/openapi.json",
	"eps":     "eps/openapi/openapi.json",
	"agent":   "smartcard/openapi/openapi.json",
	"admin":   "caddymodule/adminapi/openapi/openapi.json",
}

// run runs a program of node_modules, and returns all it printed.
func run(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(here, "node_modules", ".bin", name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_COLOR=1", "CI=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func files(t *testing.T) (paths []string) {
	t.Helper()
	for _, file := range descriptions {
		paths = append(paths, filepath.Join(gateway.Root(t), file))
	}
	return paths
}

// TestRedocly lints with the rules that @redocly/cli recommends. One warning is a failure.
func TestRedocly(t *testing.T) {
	out, err := run(t, t.TempDir(), "redocly", append([]string{"lint", "--extends=recommended", "--format=stylish", "--max-problems=1000"}, files(t)...)...)
	if err != nil || strings.Contains(out, " warning ") || strings.Count(out, ": validated in ") != len(descriptions) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSpectral lints with Spectral's rules for OpenAPI. One warning is a failure.
func TestSpectral(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.json")
	if err := os.WriteFile(rules, []byte(`{"extends": ["spectral:oas"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, dir, "spectral", append([]string{"lint", "--fail-severity=hint", "--ruleset", rules}, files(t)...)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const caddyfile = `{
` + gateway.Options + `	countersign {
		environment int
		store memory
		client acme {
			key acme-1 %KEY%
			callback http://localhost:9/signed
			products signing
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing
			access bearer
			mock https://localhost:{$PORT_AGENT} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
	}
}

https://localhost:{$PORT_AGENT} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`

// TestGeneratedClients generates clients of what a running gateway serves, compiles them, and has them ask for a signature.
func TestGeneratedClients(t *testing.T) {
	key := gateway.NewKey(t, 4096)
	g := gateway.Start(t, strings.ReplaceAll(caddyfile, "%KEY%", key.Public))
	dir := t.TempDir()
	for _, name := range []string{"openapi-fetch.mts", "hey-api.mts", "tsconfig.json", "package.json"} {
		copyFile(t, name, filepath.Join(dir, name))
	}
	here, err := os.Getwd()
	if err == nil {
		err = os.Symlink(filepath.Join(here, "node_modules"), filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]string{"signing": g.URL("GATEWAY", "/signing"), "oauth": g.URL("GATEWAY", "/oauth2")} {
		served := filepath.Join(dir, name+".json")
		fetch(t, base+"/openapi.json", served)
		for _, command := range [][]string{
			{"openapi-typescript", served, "-o", name + ".mts"},
			{"openapi-ts", "-i", served, "-o", "hey-" + name, "-c", "@hey-api/client-fetch"},
		} {
			if out, err := run(t, dir, command[0], command[1:]...); err != nil {
				t.Fatalf("%v: %v\n%s", command, err, out)
			}
		}
	}
	if out, err := run(t, dir, "tsc", "-p", ".", "--outDir", "out"); err != nil {
		t.Fatalf("the generated clients do not compile: %v\n%s", err, out)
	}
	system := gateway.System{Base: g.URL("GATEWAY", "/signing"), ID: "acme", Kid: "acme-1", Key: key, Sub: "555086689106"}
	for _, program := range []string{"openapi-fetch.mjs", "hey-api.mjs"} {
		tokenURL := g.URL("GATEWAY", "/oauth2/token")
		assertion := key.JWT(t, system.Header(), map[string]any{"iss": "acme", "sub": "acme", "aud": tokenURL, "jti": rand.Text(), "exp": time.Now().Unix() + 240})
		cmd := exec.Command("node", filepath.Join("out", program))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SIGNING_URL="+system.Base, "OAUTH_URL="+g.URL("GATEWAY", "/oauth2"), "ASSERTION="+assertion,
			"REQUEST="+system.JWT(t, "RS256", gateway.Payloads("RS256", 2)...))
		out, err := cmd.CombinedOutput()
		token, code, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		if err != nil || len(token) != 36 || code != "not_opened" {
			t.Errorf("%s: got %s, %v, want a token and not_opened", program, out, err)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func fetch(t *testing.T, address, file string) {
	t.Helper()
	answer := gateway.Get(t, address, http.Header{})
	if answer.Status != http.StatusOK {
		t.Fatalf("%s: got %d, want 200", address, answer.Status)
	}
	if err := os.WriteFile(file, answer.Body, 0o600); err != nil {
		t.Fatal(err)
	}
}
