// Package start_test holds what a gateway looks at on its own machine when it starts, and says while it runs of what is not
// in order there. A configuration is taken by validate all the same, which may run elsewhere.
package start_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const patience = time.Minute

// plain is a gateway that listens here alone. %s are the global options, %s the options of countersign, %s the sites.
const plain = `{
` + gateway.Options + `	countersign {
		environment int
%s	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing
			access open
			mock https://localhost:{$PORT_CARDS} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
%s}

https://localhost:{$PORT_CARDS} {
` + gateway.DemandMutualTLS + `	smartcard_agent %s
}
`

// refused starts a gateway with a configuration that validate takes, and returns what it says when it does not start.
func refused(t *testing.T, caddyfile string) string {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(home, "Caddyfile")
	for _, name := range []string{"GATEWAY", "CARDS"} {
		caddyfile = strings.ReplaceAll(caddyfile, "{$PORT_"+name+"}", fmt.Sprint(gateway.FreePort(t)))
	}
	if err := os.WriteFile(path, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(verb string) *exec.Cmd {
		cmd := exec.Command(gateway.Binary(t), verb, "--adapter", "caddyfile", "--config", path)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home+"/data", "XDG_CONFIG_HOME="+home+"/config",
			fmt.Sprintf("CADDY_ADMIN=127.0.0.1:%d", gateway.FreePort(t)))
		return cmd
	}
	if said, err := command("validate").CombinedOutput(); err != nil {
		t.Fatalf("validate looks at this machine: %v\n%s", err, said)
	}
	run := gateway.Launch(t, command("run"))
	if code := run.Wait(patience); code == 0 {
		t.Errorf("got exit code %d of a gateway that must not start", code)
	}
	return run.Output()
}

// TestPINFileOfOthers: a PIN that others can read, or change, keeps the gateway from starting.
func TestPINFileOfOthers(t *testing.T) {
	for _, mode := range []os.FileMode{0o644, 0o640, 0o602} {
		t.Run(mode.String(), func(t *testing.T) {
			pin := filepath.Join(t.TempDir(), "pin")
			if err := os.WriteFile(pin, []byte("123456\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(pin, mode); err != nil {
				t.Fatal(err)
			}
			said := refused(t, fmt.Sprintf(plain, "", "", cards("/nowhere/module.so", "pin file "+pin)))
			for _, want := range []string{pin, fmt.Sprintf("(mode %04o)", mode), "chmod 600"} {
				if !strings.Contains(said, want) {
					t.Errorf("got\n%s\nwant %q", said, want)
				}
			}
			if strings.Contains(said, "123456") {
				t.Error("the PIN is printed")
			}
		})
	}
}

// TestFileForADirectory: a file where the store or the audit log is to have a directory is named.
func TestFileForADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ options, want string }{
		"the store":       {"\t\tstore badger " + file + "\n", "store badger " + file + " is a file, want a directory: use another path, or move the file away"},
		"above the store": {"\t\tstore badger " + file + "/store\n", "store badger " + file + "/store: a parent in the path is a file, want a directory: use another path"},
		"the audit log":   {"\t\taudit {\n\t\t\tdir " + file + "\n\t\t}\n", "audit dir " + file + " is a file, want a directory: use another path, or move the file away"},
		"above the log":   {"\t\taudit {\n\t\t\tdir " + file + "/audit\n\t\t}\n", "audit dir " + file + "/audit: a parent in the path is a file, want a directory: use another path"},
	} {
		t.Run(name, func(t *testing.T) {
			if said := refused(t, fmt.Sprintf(plain, c.options, "", "mock {\n\t\tallow_client "+gateway.Name+"\n\t}")); !strings.Contains(said, c.want) {
				t.Errorf("got\n%s\nwant %q", said, c.want)
			}
		})
	}
}

func cards(module, line string) string {
	return "pkcs11 {\n\t\tallow_client " + gateway.Name + "\n\t\tmodule " + module + "\n\t\t" + line + "\n\t}"
}

// TestMissingModule: a gateway whose PKCS#11 module is not there starts, says so in readiness, status and metrics, and is ready
// once a library is there. What is there and is none is told as well.
func TestMissingModule(t *testing.T) {
	module := filepath.Join(t.TempDir(), "vendor.so")
	g := gateway.Start(t, fmt.Sprintf(strings.Replace(plain, "{\n", "{\n\tmetrics\n", 1), "", "", cards(module, "pin terminal")))
	told := func(want string) {
		t.Helper()
		ready := gateway.Get(t, g.URL("ADMIN", "/countersign/ready"), nil)
		if text := "PKCS#11 module " + module + " cannot be used: module " + module + " " + want; ready.Status != http.StatusServiceUnavailable || !strings.Contains(string(ready.Body), text) {
			t.Errorf("ready: got %d %s, want 503 %q", ready.Status, ready.Body, text)
		}
		if found := problem(t, g, module); !strings.Contains(found, want) {
			t.Errorf("status: got the problem %q, want %q", found, want)
		}
		if got, want := metric(t, g, module), "1"; got != want {
			t.Errorf("countersign_pkcs11_module_failing: got %q, want %q", got, want)
		}
	}
	told("is not there; install the vendor's library, or correct the path")
	if err := os.WriteFile(module, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	told("cannot be read as a library")

	text, err := os.ReadFile(pkcs11test.Module)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(module, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if ready := gateway.Get(t, g.URL("ADMIN", "/countersign/ready"), nil); ready.Status != http.StatusOK {
		t.Errorf("ready with a library: got %d %s", ready.Status, ready.Body)
	}
	if found := problem(t, g, module); found != "" {
		t.Errorf("status with a library: got the problem %q", found)
	}
	if got, want := metric(t, g, module), "0"; got != want {
		t.Errorf("countersign_pkcs11_module_failing with a library: got %q, want %q", got, want)
	}
}

// problem is what status says of a module; empty: nothing.
func problem(t *testing.T, g *gateway.Gateway, module string) string {
	t.Helper()
	var status struct {
		Problems []struct{ What, Detail string } `json:"problems"`
	}
	if err := json.Unmarshal(gateway.Get(t, g.URL("ADMIN", "/countersign/status"), nil).Body, &status); err != nil {
		t.Fatal(err)
	}
	for _, one := range status.Problems {
		if one.What == "PKCS#11 module "+module+" cannot be used" {
			return one.Detail
		}
	}
	return ""
}

func metric(t *testing.T, g *gateway.Gateway, module string) string {
	t.Helper()
	prefix := fmt.Sprintf("countersign_pkcs11_module_failing{module=%q} ", module)
	for line := range strings.Lines(string(gateway.Get(t, g.URL("ADMIN", "/metrics"), nil).Body)) {
		if value, is := strings.CutPrefix(line, prefix); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestHandleForHandlePath: a service that is mounted by handle answers every request 404. The log says so once, with the fix,
// and says nothing where it is mounted by handle_path, whatever strangers ask for. bars_proxy knows its base, so that it works
// either way: the request lacks a target.
func TestHandleForHandlePath(t *testing.T) {
	g := gateway.Start(t, fmt.Sprintf(plain, "", `	handle /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
	}
	handle /plain/* {
		apim_token
	}
	handle /booking-and-referral/FHIR/R4/* {
		bars_proxy {
			environment sandbox
		}
	}
`, "mock {\n\t\tallow_client "+gateway.Name+"\n\t}"))
	for path, want := range map[string]int{
		"/oauth2/token": 404, "/oauth2/_ping": 404, "/plain/_ping": 404, "/plain/token": 404, "/booking-and-referral/FHIR/R4/Slot": 400,
		"/signing/_ping": 200, "/signing/signing/_ping": 404, "/signing/x/client": 404,
	} {
		for range 2 {
			response, err := http.Get(g.URL("GATEWAY", path))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s: got status %d, want %d", path, response.StatusCode, want)
			}
		}
	}
	for service, count := range map[string]int{"apim_token": 2, "bars_proxy": 0, "signing_service": 0} {
		if got := strings.Count(g.Output(), service+" answers every request 404 because its path prefix is not stripped"); got != count {
			t.Errorf("%s: got %d lines in the log, want %d\n%s", service, got, count, g.Output())
		}
	}
	for _, fix := range []string{"handle_path /oauth2/* { apim_token … }", "handle_path /plain/* { apim_token … }"} {
		if !strings.Contains(g.Output(), fix) {
			t.Errorf("the log does not say %q", fix)
		}
	}
}
