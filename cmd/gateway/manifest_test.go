package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const root = "../../"

// The manifest is honest: its Caddy is the one that is tested here, its modules are packages of this repository,
// and its first line names the command that reads it.
func TestManifestAgainstGoMod(t *testing.T) {
	m, err := readManifest(root + "xcaddy.toml")
	if err != nil {
		t.Fatal(err)
	}
	goMod, err := os.ReadFile(root + "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	tested := regexp.MustCompile(`github.com/caddyserver/caddy/v2 (v\S+)`).FindSubmatch(goMod)
	if tested == nil || string(tested[1]) != m.Caddy {
		t.Errorf("the manifest builds Caddy %s; go.mod has %s", m.Caddy, tested)
	}
	for _, p := range m.Plugins {
		rest, ours := strings.CutPrefix(p.Module, modulePath)
		if !ours {
			continue
		}
		if info, err := os.Stat(root + "." + rest); err != nil || !info.IsDir() {
			t.Errorf("plugin %s: %s is no package here", p.Name, p.Module)
		}
	}
	text, err := os.ReadFile(root + "xcaddy.toml")
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(text), "\n"); !strings.Contains(first, "go run ./cmd/gateway") {
		t.Errorf("the manifest's first line does not say which command reads it: %s", first)
	}
}

func TestCommand(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "xcaddy build v2.11.9 --output caddy --with " + modulePath},
		{"-with mock -output /tmp/gw", "xcaddy build v2.11.9 --output /tmp/gw --with " + modulePath + " --with " + modulePath + "/caddymodule/mock"},
		{"-with mock,postgres", "xcaddy build v2.11.9 --output caddy --with " + modulePath + " --with " + modulePath + "/caddymodule/mock --with " + modulePath + "/caddymodule/postgres"},
		{"-local", "GOPRIVATE=" + modulePath + " GOVCS=" + modulePath + ":off xcaddy build v2.11.9 --output caddy --with " + modulePath + " --replace " + modulePath + "=."},
	} {
		var out strings.Builder
		args := append([]string{"-manifest", root + "xcaddy.toml"}, strings.Fields(c.args)...)
		if err := run(t.Context(), args, &out); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(out.String()); got != c.want {
			t.Errorf("%q gives\n%s\nwant\n%s", c.args, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for args, want := range map[string]string{
		"-with nonsense":         `no plugin "nonsense"`,
		"mock":                   "plugins are named with -with",
		"-manifest nowhere.toml": "no such file",
	} {
		if !strings.Contains(args, "-manifest") {
			args = "-manifest " + root + "xcaddy.toml " + args
		}
		err := run(t.Context(), strings.Fields(args), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want an error with %q", args, err, want)
		}
	}
}
