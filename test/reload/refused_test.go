package reload_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// running is a gateway with one session that was asked for.
type running struct {
	*gateway.Gateway
	system *system
	held   *asked
	dir    string // of its store
}

func start(t *testing.T) *running {
	t.Helper()
	r := &running{dir: filepath.Join(t.TempDir(), "store")}
	r.Gateway = gateway.Start(t, site{store: r.dir}.caddyfile())
	r.system = newSystem(t.Name(), "acme", r.URL("GATEWAY", "/main"), (&meter{}).caller())
	var err error
	if r.held, err = r.system.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// goesOn checks that the store is still open and its sessions still there: the one of the beginning, whose JWT has
// the same token, and a new one that is signed to the end.
func (r *running) goesOn(t *testing.T) {
	t.Helper()
	if ticket, err := r.system.send(t.Context(), r.held.jwt); err != nil || ticket != r.held.ticket {
		t.Fatalf("the session from before: %v", err)
	}
	if _, err := complete(t.Context(), r.system); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedConfigurations holds what an operator is told when a configuration is refused, and that the old one goes
// on: nothing that a configuration released on its way out was the running one's.
func TestRefusedConfigurations(t *testing.T) {
	r := start(t)
	dir := t.TempDir()
	inUse := filepath.Join(dir, "in-use")
	lock(t, inUse)
	aFile := filepath.Join(dir, "file")
	garbage := filepath.Join(dir, "garbage.pem")
	for _, path := range []string{aFile, garbage} {
		if err := os.WriteFile(path, []byte("nothing useful"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(dir, "nowhere")

	for name, c := range map[string]struct {
		site
		told []string
	}{
		"a store that another process holds": {site{store: inUse}, []string{inUse, "in use by another process", "directory of its own"}},
		"a store where a file is":            {site{store: aFile}, []string{aFile}},
		"a secret's file that is missing":    {site{store: r.dir, service: "status_key {file." + nowhere + "}"}, []string{"status_key", nowhere}},
		"a secret's variable that is not set": {
			site{store: r.dir, service: "status_key {env.NO_SUCH_VARIABLE}"}, []string{"status_key", "NO_SUCH_VARIABLE"}},
		"a key file that is missing": {site{store: r.dir, key: "key acme-1 " + nowhere}, []string{"acme", nowhere}},
		"a key file that is none":    {site{store: r.dir, key: "key acme-1 " + garbage}, []string{"acme", garbage, "PEM"}},
		"a key file that is a directory": {
			site{store: r.dir, key: "key acme-1 " + dir}, []string{"acme", dir}},
		"a key set file that is missing": {site{store: r.dir, key: "jwks " + nowhere}, []string{"acme", nowhere}},
		"an issuer's file that is missing": {
			site{store: r.dir, service: "certificates {\n\ttrust " + nowhere + "\n}"}, []string{"trust", nowhere}},
		// These fail when all of ours is provisioned, or even started, already.
		"another module's file that is missing": {
			site{store: r.dir, more: "https://localhost:1 {\n\ttls " + nowhere + " " + nowhere + "\n}\n"}, []string{nowhere}},
		"a port that is taken": {
			site{store: r.dir, more: "http://localhost:" + takenPort + " {\n\trespond x\n}\n"}, []string{takenPort}},
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(t, r.Gateway, c.caddyfile(), c.told...)
			r.goesOn(t)
		})
	}
	if _, err := os.Stat(nowhere); err == nil {
		t.Error("something was made where nothing is")
	}
}

// lock makes a directory and holds it the way a program that uses the store does.
func lock(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	handle, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { handle.Close() })
	if err := syscall.Flock(int(handle.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
}

// TestSecondOpener starts a second gateway on the store of one that runs: it ends and says why, and the first is not
// disturbed.
func TestSecondOpener(t *testing.T) {
	r := start(t)
	second := strings.NewReplacer(
		"{$PORT_GATEWAY}", fmt.Sprint(gateway.FreePort(t)), "{$PORT_AGENT}", fmt.Sprint(gateway.FreePort(t)),
	).Replace(site{store: r.dir}.caddyfile())
	said, err := caddy(t, t.TempDir(), second, "run")
	if err == nil {
		t.Fatal("a second gateway on the same store came to an end without an error")
	}
	for _, text := range []string{r.dir, "in use by another process", "directory of its own"} {
		if !strings.Contains(said, text) {
			t.Errorf("the operator is told\n%s\nwithout %q", said, text)
		}
	}
	r.goesOn(t)
}

// caddy runs a subcommand of the binary under test over a Caddyfile, in a home of its own.
func caddy(t *testing.T, home, caddyfile, command string) (said string, err error) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(config, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), gateway.Binary(t), command, "--adapter", "caddyfile", "--config", config)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home,
		fmt.Sprintf("CADDY_ADMIN=127.0.0.1:%d", gateway.FreePort(t)))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
