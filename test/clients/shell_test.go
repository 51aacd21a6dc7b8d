package clients_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestShell walks through the journey with curl and OpenSSL.
func TestShell(t *testing.T) {
	w := newWorld(t, []string{"shell"})
	command := []string{"sh", filepath.Join(gateway.Root(t), "examples", "clients", "shell", "walk.sh")}
	w.proxy.play(http.MethodPost, "cut", "503")
	payloads := gateway.Payloads("RS256", 1)
	r := w.start(t, command, "shell-quiet", payloads, "POLL=0.2")
	gateway.Visit(t, r.said("open")).SignToEnd()
	r.ends(0, "Verified OK", "signed 1")
	r.verify("RS256", payloads...)
	w.cancelled(t, command, "shell")
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestTryOne follows "Try one" of examples/clients/README.md as it stands there, but for the ports.
func TestTryOne(t *testing.T) {
	root := gateway.Root(t)
	blocks := shellBlock.FindAllStringSubmatch(string(read(t, filepath.Join(root, "examples", "clients", "README.md"))), -1)
	if len(blocks) != 2 {
		t.Fatalf("got %d blocks of commands in the page, want 2", len(blocks))
	}
	dir, listen := t.TempDir(), gateway.FreePort(t)
	for link, target := range map[string]string{"caddy": gateway.Binary(t), "examples": filepath.Join(root, "examples"), "python3": "/usr/bin/python3"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	shell := func(script string, ports ...string) *exec.Cmd {
		cmd := exec.Command("sh", "-euc", strings.NewReplacer(ports...).Replace(script))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "LISTEN="+fmt.Sprint(listen))
		return cmd
	}
	printed, err := shell(blocks[0][1], "9090", fmt.Sprint(listen)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	start := strings.Index(string(printed), "client my-epr {")
	if start < 0 {
		t.Fatalf("got %s, want the client's block", printed)
	}
	block := strings.Replace(string(printed)[start:], "{\n", fmt.Sprintf("{\n\twebhook http://localhost:%d/webhook\n", listen), 1)
	caddyfile := strings.NewReplacer("8080", "{$PORT_GATEWAY}", "8443", "{$PORT_AGENT}", "client demo-epr {", block+"\nclient demo-epr {").
		Replace(string(read(t, filepath.Join(root, "Caddyfile"))))
	g := gateway.Start(t, caddyfile)

	r := &run{gateway.Launch(t, shell(blocks[1][1], "8080", g.Port("GATEWAY"))), t, dir}
	gateway.Visit(t, r.said("open")).SignToEnd()
	r.ends(0, "webhook signing.completed", "signed 1")
}
