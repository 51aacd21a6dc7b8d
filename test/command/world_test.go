// Package command_test drives the built binary's own commands, "caddy countersign …", as a person at a terminal does,
// against a gateway of the same binary. What they say is verified with OpenSSL where it is about signatures.
package command_test

import (
	"bytes"
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

// person is who signs: a made-up SDS user id.
const person = "555086689106"

const caddyfile = `{
` + gateway.Options + `	countersign {
		environment int
		store badger
		client acme {
			name "Acme EPR"
			key acme-1 %[1]s
			callback http://localhost:9/signed
			algorithms RS1 RS256
			products signing
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
	}
	handle_path /main/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/main
			access open
			mock https://localhost:{$PORT_MAIN} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /guarded/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/guarded
			access bearer
			mock https://localhost:{$PORT_MAIN} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
}

https://localhost:{$PORT_MAIN} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`

// desk is a person at a terminal, with a directory, and a gateway to work with.
type desk struct {
	*gateway.Gateway
	dir string
	key gateway.Key // of the client acme
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), key: gateway.NewKey(t, 4096)}
	d.Gateway = gateway.Start(t, fmt.Sprintf(caddyfile, d.key.Public))
	d.MustNotLog(person)
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(d.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return d.path(name)
}

// said is what a command did.
type said struct {
	stdout, stderr string
	code           int // exit status
}

// command is caddy countersign with arguments, where the gateway's admin endpoint is the default one.
func (d *desk) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(gateway.Binary(t), append([]string{"countersign"}, args...)...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "HOME="+d.dir, "XDG_DATA_HOME="+d.path("data"), "CADDY_ADMIN=127.0.0.1:"+d.Port("ADMIN"))
	return cmd
}

func (d *desk) run(t *testing.T, args ...string) said {
	t.Helper()
	return finish(t, d.command(t, args...))
}

// finish runs a program to its end.
func finish(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return said{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// signing are the flags of a sign by acme.
func (d *desk) signing(out string, more ...string) []string {
	return append([]string{"sign", "--url", d.URL("GATEWAY", "/main"), "--client", "acme", "--kid", "acme-1", "--key", d.key.Private,
		"--sub", person, "--out", out}, more...)
}

// must ends the test when a command did not end as wanted.
func (s said) must(t *testing.T, code int, parts ...string) {
	t.Helper()
	if s.code != code {
		t.Fatalf("exit status %d, want %d\n%s%s", s.code, code, s.stdout, s.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(s.stdout+s.stderr, part) {
			t.Errorf("does not say %q:\n%s%s", part, s.stdout, s.stderr)
		}
	}
	for _, trouble := range []string{"panic", "DATA RACE"} {
		if strings.Contains(s.stderr, trouble) {
			t.Errorf("%s", s.stderr)
		}
	}
}

// json reads standard output, which holds one JSON value.
func (s said) json(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.stdout), v); err != nil {
		t.Fatalf("%v:\n%s", err, s.stdout)
	}
}
