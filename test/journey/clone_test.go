package journey_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// nobody is who runs the fresh clone when the tests run as root.
const nobody = 65534

// From a fresh clone, as an unprivileged user, `go run ./cmd/caddy run` starts everything in the repository's
// own Caddyfile on its own ports: the demo shows its button, and a request made from outside it comes back
// signed.
func TestFreshCloneAsUnprivilegedUser(t *testing.T) {
	gateway.ClaimFixedPorts(t)
	clone := newClone(t)
	process := gateway.Launch(t, clone.command("go", "run", "./cmd/caddy", "run"))
	demo := "http://localhost:8080/demo/"
	process.Await("the demo's page", 15*time.Minute, func() error {
		response, err := http.Get(demo) // compiling takes minutes where nothing is cached
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})

	// The key is made in the background at the first start; then the button is there.
	process.Await("the demo's button", patience, func() error {
		if page := string(get(t, demo).Body); !strings.Contains(page, "Sign 3 prescriptions") {
			return fmt.Errorf("the page says %.2000s", page)
		}
		return nil
	})
	if answer := get(t, "http://localhost:8080/demo"); answer.Status/100 != 3 || !strings.HasSuffix(answer.Header.Get("Location"), "/demo/") {
		t.Errorf("/demo: %d to %q", answer.Status, answer.Header.Get("Location"))
	}
	signInDemo(t, demo)
	for _, secret := range []string{"PRIVATE KEY", "eyJ"} {
		if strings.Contains(process.Output(), secret) {
			t.Errorf("it prints %q", secret)
		}
	}
	process.Stop()
	clone.mustBeClean(t)
}

// signInDemo presses the demo's button for three prescriptions, signs, and reads the demo's verdict.
func signInDemo(t *testing.T, demo string) {
	t.Helper()
	page := gateway.NewPerson(t)
	redirect := page.Press(demo, "sign", url.Values{"sub": {person}, "algorithm": {"RS256"}, "count": {"3"}})
	if !strings.HasPrefix(redirect, "http://localhost:8080/signing-service/client?token=") {
		t.Fatalf("the button leads to %s", redirect)
	}
	browser := gateway.Visit(t, redirect)
	view := browser.SignToEnd()
	if view.State != "signed" {
		t.Fatalf("ended %q: %+v", view.State, view.Reason)
	}
	if !strings.HasPrefix(view.Redirect, "http://localhost:8080/demo/signed?token=") {
		t.Fatalf("the way back is %s", view.Redirect)
	}
	if verdict := page.See(view.Redirect); !strings.Contains(strings.ToLower(verdict), "verified") {
		t.Errorf("the demo says %.3000s", verdict)
	}
	if !gateway.Eventually(patience, func() bool { return strings.Contains(string(get(t, demo+"webhooks").Body), "signing.completed") }) {
		t.Error("no webhook has arrived at the demo")
	}
}

// clone is a fresh clone of the repository with the caches and the home of an unprivileged user.
type clone struct {
	dir, home string
	uid       int // 0: this process is unprivileged itself
	env       []string
}

func newClone(t *testing.T) clone {
	t.Helper()
	top, err := os.MkdirTemp("", "countersign-clone-") // where another user can get at it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = gateway.Run(nil, "chmod", "-R", "u+w", top) // the module cache is read-only
		if err := os.RemoveAll(top); err != nil {
			t.Error(err)
		}
	})
	c := clone{dir: filepath.Join(top, "countersign"), home: filepath.Join(top, "home")}
	must := func(name string, args ...string) {
		t.Helper()
		if _, err := gateway.Run(nil, name, args...); err != nil {
			t.Fatal(err)
		}
	}
	must("git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", gateway.Root(t), c.dir)
	must("mkdir", c.home)
	goEnv := func(name string) string {
		out, err := gateway.Run(nil, "go", "env", name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	modules, builds := goEnv("GOMODCACHE"), goEnv("GOCACHE")
	if os.Getuid() == 0 {
		// What root has downloaded and compiled is not compiled again: hard links to files that the user can
		// read and cannot change, in directories of the user's own.
		c.uid = nobody
		for from, to := range map[string]string{modules: filepath.Join(top, "modules"), builds: filepath.Join(top, "builds")} {
			if _, err := gateway.Run(nil, "cp", "-al", from, to); err != nil {
				_ = os.RemoveAll(to)
				must("cp", "-a", from, to) // another file system
			}
		}
		modules, builds = filepath.Join(top, "modules"), filepath.Join(top, "builds")
		must("chmod", "755", top)
		must("chown", "-R", fmt.Sprint(nobody), c.dir, c.home)
		must("find", builds, "-type", "d", "-exec", "chown", fmt.Sprint(nobody), "{}", "+")
	}
	path := strings.Join([]string{filepath.Join(goEnv("GOROOT"), "bin"), "/usr/local/bin", "/usr/bin", "/bin"}, ":")
	c.env = []string{"HOME=" + c.home, "PATH=" + path, "GOMODCACHE=" + modules, "GOCACHE=" + builds, "GOFLAGS=-buildvcs=false",
		"GOTOOLCHAIN=local", "GOPROXY=off"}
	return c
}

// command runs something in the clone, as the unprivileged user, with nothing of this process's environment.
func (c clone) command(name string, args ...string) *exec.Cmd {
	path := strings.SplitN(c.env[1], "=", 2)[1]
	for _, dir := range strings.Split(path, ":") {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			name = filepath.Join(dir, name)
			break
		}
	}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	if c.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// mustBeClean checks that running has left nothing in the checkout, and no key outside Caddy's data directory.
func (c clone) mustBeClean(t *testing.T) {
	t.Helper()
	out, err := c.command("git", "status", "--porcelain", "--ignored").Output()
	if err != nil || len(out) > 0 {
		t.Errorf("running has changed the checkout (%v):\n%s", err, out)
	}
}
