package gateway

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// Binary returns the Caddy under test. COUNTERSIGN_CADDY names one that was built before; otherwise
// ./cmd/caddy is built, with the race detector where the test has it. It is built once a test process, into a
// place that all test processes of this user share, so that the linker runs only when something changed.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var binary = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("COUNTERSIGN_CADDY"); given != "" {
		return given, nil
	}
	if raceEnabled {
		return build("caddy-race", "-race")
	}
	return build("caddy")
})

// FaultBinary returns a Caddy of which the fault harness can take safeguards away. It is never the one under test.
func FaultBinary(t testing.TB) string {
	t.Helper()
	path, err := faultBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var faultBinary = sync.OnceValues(func() (string, error) { return build("caddy-faults", "-tags", "countersign_faults") })

// build builds ./cmd/caddy with more flags.
func build(name string, flags ...string) (string, error) {
	root, err := root()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "countersign-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()

	path := filepath.Join(dir, name)
	args := append([]string{"build"}, flags...)
	build := exec.Command("go", append(args, "-o", path, "./cmd/caddy")...)
	build.Dir = root
	build.Env = append(os.Environ(), "GOTMPDIR="+dir) // same file system: a binary in use is replaced, not overwritten
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build ./cmd/caddy: %w\n%s", err, out)
	}
	return path, nil
}

// Root returns the repository's own directory.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the test does not run inside the repository")
		}
		dir = parent
	}
}

// ClaimFixedPorts waits until no other test, of any process, uses the ports of the repository's own
// Caddyfile (8080, 8443 and Caddy's 2019), and holds them until the test ends.
func ClaimFixedPorts(t testing.TB) {
	t.Helper()
	unlock, err := lock(filepath.Join(os.TempDir(), fmt.Sprintf("countersign-ports-%d.lock", os.Getuid())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
}

// lock waits for an exclusive lock on a file and returns what releases it. It ends with the process at the
// latest.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

// reserve takes a port for this process, unless another one has it or this one has taken it before.
func reserve(port int) bool {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("countersign-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return false
	}
	reserved.Store(port, f) // a file that nobody holds is closed, and its lock is gone
	return true
}

// reserved are the ports of this process, each with the file that holds its lock.
var reserved sync.Map
