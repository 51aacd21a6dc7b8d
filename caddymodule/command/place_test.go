package command

import (
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

// machine is a directory with units, and configurations, and no XDG_DATA_HOME.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{t, t.TempDir()}
	t.Setenv("SYSTEMD_UNIT_PATH", m.path("units"))
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", m.path("home"))
	t.Chdir(m.dir)
	m.write("units/other.service", "[Service]\nExecStart=/bin/other run --config "+m.path("other")+"\n")
	return m
}

func (m machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m machine) write(name, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// service installs a unit that runs a gateway with a configuration.
func (m machine) service(name, config string, more ...string) {
	m.t.Helper()
	m.write("units/"+name, "[Service]\nExecStart=/usr/bin/caddy run --environ --config "+m.path(config)+"\n"+strings.Join(more, "\n")+"\n")
}

// config writes a configuration with one line in its option countersign.
func (m machine) config(name, line string) {
	m.t.Helper()
	m.write(name, "{\n\tcountersign {\n\t\tenvironment int\n\t\t"+line+"\n\t}\n}\n")
}

// TestWhichStore is the table of where a store is looked for, as docs/command-line.md has it. The answer is always that
// there is none, in which directory, or why none is looked for.
func TestWhichStore(t *testing.T) {
	m := newMachine(t)
	m.config("plain.caddyfile", "")
	m.config("absolute.caddyfile", "store badger "+m.path("absolute"))
	m.config("relative.caddyfile", "store badger a/store")
	m.config("placeholder.caddyfile", "store badger {env.PLACE}/store")
	m.config("twice.caddyfile", "")
	m.config("memory.caddyfile", "store memory")
	m.write("none.caddyfile", "http://localhost:1 {\n}\n")
	m.service("gw.service", "plain.caddyfile", "Environment=XDG_DATA_HOME="+m.path("data"))
	m.service("relative.service", "relative.caddyfile", "WorkingDirectory="+m.path("units"))
	m.service("placeholder.service", "placeholder.caddyfile", "EnvironmentFile="+m.path("environment"))
	m.write("environment", "PLACE="+m.path("place")+"\n")
	m.service("a.service", "twice.caddyfile")
	m.service("b.service", "twice.caddyfile", "Environment=XDG_DATA_HOME="+m.path("b"))
	t.Setenv("PLACE", "")
	in := func(dir string) string { return "there is no store in " + m.path(dir) }
	for _, c := range []struct {
		name string
		args []string
		env  string // XDG_DATA_HOME
		want string
	}{
		{"unit of the configuration", []string{"--config", "plain.caddyfile"}, "", in("data/caddy/countersign/store")},
		{"unit by name", []string{"--unit", "gw"}, "", in("data/caddy/countersign/store")},
		{"same environment", []string{"--unit", "gw"}, m.path("data"), in("data/caddy/countersign/store")},
		{"other environment", []string{"--unit", "gw"}, m.path("mine"), "gw.service keeps its data in " + m.path("data/caddy") + ": unset it"},
		{"path of the configuration", []string{"--config", "absolute.caddyfile"}, "", in("absolute")},
		{"relative to the unit", []string{"--config", "relative.caddyfile"}, "", in("units/a/store")},
		{"environment of the unit in a path", []string{"--config", "placeholder.caddyfile"}, "", in("place/store")},
		{"two units", []string{"--config", "twice.caddyfile"}, "", "a.service and b.service both run with twice.caddyfile: name the one that is meant with --unit"},
		{"one of two units", []string{"--config", "twice.caddyfile", "--unit", "b.service"}, "", in("b/caddy/countersign/store")},
		{"no such unit", []string{"--unit", "c"}, "", "unit c.service: file does not exist"},
		{"a unit that is no gateway", []string{"--unit", "none"}, "", "none.service runs no gateway"},
		{"directory", []string{"--dir", "mine"}, "", in("mine")},
		{"directory and configuration", []string{"--dir", "mine", "--config", "plain.caddyfile"}, "", "none of the others can be"},
		{"no configuration", nil, "", "no configuration names a store"},
		{"no configuration of ours", []string{"--config", "none.caddyfile"}, "", "none.caddyfile has no global option countersign"},
		{"no directory", []string{"--config", "memory.caddyfile"}, "", "not the embedded one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("XDG_DATA_HOME", c.env)
			m.write("units/none.service", "[Service]\nExecStart=/bin/true\n")
			said := execute(t, storeCommand(), append([]string{"check"}, c.args...)...)
			if said.err == nil || !strings.Contains(said.err.Error(), c.want) {
				t.Errorf("got %v, want %q", said.err, c.want)
			}
			if dir, err := os.Getwd(); err != nil || dir != m.dir || os.Getenv("XDG_DATA_HOME") != c.env || os.Getenv("HOME") != m.path("home") {
				t.Errorf("afterwards the directory is %s and the environment another (%v)", dir, err)
			}
		})
	}
	for _, unnamed := range []string{"plain.caddyfile", "relative.caddyfile"} {
		t.Setenv("SYSTEMD_UNIT_PATH", m.path("nothing"))
		said := execute(t, storeCommand(), "restore", "--config", unnamed, "day.backup")
		if said.err == nil || !strings.Contains(said.err.Error(), "no configuration names the directory of the store") {
			t.Errorf("%s without a unit: got %v, want that no configuration names it", unnamed, said.err)
		}
		if _, err := os.Stat(m.path("home")); err == nil {
			t.Errorf("%s: something was made in the caller's home", unnamed)
		}
	}
}

// TestWhichLog finds the log and the keys of a configuration, in a storage of its own, and leaves the storage as it is
// although it is time for the next key.
func TestWhichLog(t *testing.T) {
	m := newMachine(t)
	m.write("Caddyfile", "{\n\tstorage file_system "+m.path("shared")+"\n\tcountersign {\n\t\tenvironment int\n\t\taudit {\n\t\t\tdir "+m.path("log")+"\n\t\t}\n\t}\n}\n")
	m.config("off.caddyfile", "audit {\n\t\t\toff\n\t\t}")
	long := time.Now().Add(-100 * 24 * time.Hour)
	ring := jwks.NewRing(caddymodule.NewVault(&certmagic.FileStorage{Path: m.path("shared")}),
		jwks.RingOptions{Name: caddymodule.OwnKeysName, Now: func() time.Time { return long }})
	log, err := audit.Open(audit.Options{Dir: m.path("log"), Signer: caddymodule.AuditSigner{Ring: ring}, Host: "gw-1", Now: func() time.Time { return long }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), caddymodule.AuditBatch, signing.AuditRecord{Client: "acme"}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	keys := m.path("shared/" + caddymodule.OwnKeysName)
	before, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}

	out, err := runAudit(t, "verify")
	if err != nil || !strings.Contains(out, "in "+m.path("log")) || !strings.Contains(out, "Trusted keys: countersign/keys/own.json in "+m.path("shared")) {
		t.Errorf("audit verify: got %v, want the log and the keys of the configuration:\n%s", err, out)
	}
	if after, err := os.ReadFile(keys); err != nil || string(after) != string(before) {
		t.Errorf("audit verify changed the gateway's keys (%v)", err)
	}
	if locks, err := os.ReadDir(m.path("shared/locks")); err == nil && len(locks) > 0 {
		t.Errorf("audit verify left %v behind", locks)
	}
	if _, err := runAudit(t, "verify", "--config", "off.caddyfile"); err == nil || !strings.Contains(err.Error(), "has no audit log") {
		t.Errorf("audit off: got %v, want that there is no log", err)
	}
	m.config("Caddyfile", "")
	if _, err := runAudit(t, "head"); err == nil || !strings.Contains(err.Error(), "no configuration names the directory of the audit log") {
		t.Errorf("no directory: got %v, want that no configuration names it", err)
	}
	out, err = runAudit(t, "verify", "--dir", m.path("log"))
	if err != nil || !strings.Contains(out, "No key was trusted") {
		t.Errorf("a log by itself: got %v, want that no key is trusted:\n%s", err, out)
	}
}
