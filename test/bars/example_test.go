package bars_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The example runs, and the commands of docs/bars.md do what the page says: a referral, its response, a booking and a
// failure.
func TestWalkThrough(t *testing.T) {
	gateway.ClaimFixedPorts(t)
	root, dir := gateway.Root(t), t.TempDir()
	page, err := os.ReadFile(filepath.Join(root, "docs", "bars.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, walk, found := strings.Cut(string(page), "## A BaRS on one machine")
	walk, _, ends := strings.Cut(walk, "\n## ")
	if !found || !ends {
		t.Fatal("docs/bars.md has no walk-through")
	}
	var prepare, start, then []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(walk, -1) {
		switch {
		case strings.HasPrefix(block[1], "caddy run "):
			start = append(start, block[1])
		case start == nil:
			prepare = append(prepare, block[1])
		default:
			then = append(then, block[1])
		}
	}
	if len(prepare) != 1 || len(start) != 1 || len(then) < 5 {
		t.Fatalf("docs/bars.md: got %d preparing, %d starting and %d walking command blocks", len(prepare), len(start), len(then))
	}
	example, err := os.ReadFile(filepath.Join(root, "docs", "examples", "local-bars.caddy"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"docs/examples", "bin"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "docs", "examples", "local-bars.caddy"), example, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(gateway.Binary(t), filepath.Join(dir, "bin", "caddy")); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) *exec.Cmd {
		cmd := exec.Command("bash", "-c", "set -euo pipefail\n"+script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "HOME="+dir,
			"XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(dir, "config"), "CADDY_ADMIN=localhost:2019")
		return cmd
	}
	if out, err := shell(prepare[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	process := gateway.Launch(t, shell("exec "+start[0]))
	process.Await("every port, and the proxy's certificate", time.Minute, func() error {
		for _, port := range []string{"8080", "8081", "8082", "8443"} {
			conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
			if err != nil {
				return err
			}
			conn.Close()
		}
		for _, name := range []string{"bars-proxy.countersign.internal", "bars-int-rx1.alpha.thirdparty.nhs.uk", "bars-int-rx2.beta.thirdparty.nhs.uk"} {
			if _, err := os.Stat(filepath.Join(dir, "data", "caddy", "certificates", "local", name, name+".json")); err != nil {
				return err
			}
		}
		return nil
	})
	out, err := shell(strings.Join(then, "\n")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("PROXY_NOT_FOUND")) || bytes.Contains(out, []byte("false")) {
		t.Errorf("the commands printed\n%s", out)
	}

	t.Run("nobody else passes the receivers", func(t *testing.T) {
		ca := filepath.Join(dir, "data", "caddy", "pki", "authorities", "local", "root.crt")
		cmd := shell("curl -sS --cacert " + ca + " --resolve bars-int-rx2.beta.thirdparty.nhs.uk:8443:127.0.0.1 https://bars-int-rx2.beta.thirdparty.nhs.uk:8443/FHIR/R4/metadata")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("a caller without a certificate got %s, want a refusal", out)
		}
	})
	t.Run("the admin endpoint knows the proxies", func(t *testing.T) {
		a := send(t, must(http.NewRequest("GET", "http://localhost:2019/countersign/status", nil)))
		if !contains(a.body, `"barsProxies"`) {
			t.Errorf("%s", a.body)
		}
	})
}
