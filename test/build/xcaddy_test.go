// Package build_test builds a gateway as its users do, with xcaddy and as a release, and looks at what came out.
package build_test

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const module = "github.com/seed-dd2befc3/countersign"

// What every build has of the command line.
var commands = []string{
	"audit", "client", "deliveries", "doctor", "jwks", "keygen", "onboard", "sessions", "sign", "store", "token", "verify", "webhook", "why",
}

// What the default build has, and what only a build with the plugins mock, postgres and pkcs11 has.
var (
	ours = []string{
		"countersign", "countersign.stores.badger", "countersign.stores.memory",
		"http.handlers.signing_service", "http.handlers.smartcard_agent", "http.handlers.countersign_jwks",
		"http.handlers.apim_token", "http.handlers.apim_sender", "http.handlers.bars_proxy", "http.handlers.bars_receiver",
	}
	mocks    = []string{"countersign.agents.mock", "http.handlers.countersign_demo"}
	postgres = []string{"countersign.stores.postgres"}
	cards    = []string{"countersign.agents.pkcs11", "countersign.commands.cards", "countersign.commands.pkcs11_child"}
)

// TestXcaddy runs the command that the manifest's reader makes for this checkout, with the pinned xcaddy.
func TestXcaddy(t *testing.T) {
	root := gateway.Root(t)
	run(t, root, nil, "scripts/tools", "xcaddy")
	env := []string{
		"PATH=" + filepath.Join(root, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		// Without xcaddy's own flags, so that nothing is compiled that the other builds have compiled already.
		"XCADDY_GO_BUILD_FLAGS=-ldflags=-w",
	}
	for _, c := range []struct {
		name   string
		args   []string
		with   []string // modules that must be there
		not    []string // … and must not
		static bool
	}{
		{"the default build", nil, ours, slices.Concat(mocks, postgres, cards), true},
		{"with the plugins", []string{"-with", "mock,postgres"}, slices.Concat(ours, mocks, postgres), cards, true},
		// A vendor's library needs the system's C library (docs/cards.md).
		{"with real cards", []string{"-with", "pkcs11"}, slices.Concat(ours, cards), mocks, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "caddy")
			args := append([]string{"run", "./cmd/gateway", "-local", "-build", "-output", binary}, c.args...)
			run(t, root, env, "go", args...)
			if c.static {
				mustBeStatic(t, binary)
			} else {
				mustShowCards(t, binary)
			}
			mustHave(t, binary, c.with, c.not)
			info, err := buildinfo.ReadFile(binary)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(info.Deps, func(m *debug.Module) bool { return m.Path == module && m.Replace != nil }) {
				t.Error("it was not built from the checkout")
			}
		})
	}
}

// mustShowCards has a binary load a vendor's library, which it does without cgo.
func mustShowCards(t *testing.T, binary string) {
	t.Helper()
	readers := pkcs11test.New(t)
	readers.Insert("anna", "1234").Add(pkcs11test.Key{User: "555086689106"})
	shown := run(t, t.TempDir(), readers.Env(), binary, "countersign", "cards", "--module", pkcs11test.Module)
	if !strings.Contains(shown, `signs for "555086689106"`) {
		t.Errorf("does not show the card:\n%s", shown)
	}
	mustBeWithoutCgo(t, binary)
}

// mustHave asks a binary for its modules, and for all commands.
func mustHave(t *testing.T, binary string, with, not []string) {
	t.Helper()
	listed := strings.Fields(run(t, t.TempDir(), nil, binary, "list-modules"))
	for _, name := range with {
		if !slices.Contains(listed, name) {
			t.Errorf("%s is not in the build", name)
		}
	}
	for _, name := range not {
		if slices.Contains(listed, name) {
			t.Errorf("%s is in the build", name)
		}
	}
	help := run(t, t.TempDir(), nil, binary, "countersign", "--help")
	for _, name := range commands {
		if !strings.Contains(help, "\n  "+name+" ") {
			t.Errorf("it has no command %s:\n%s", name, help)
		}
	}
}

// mustBeStatic looks for everything that the system would have to load beside the binary.
func mustBeStatic(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			t.Error("it asks for an interpreter")
		}
	}
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it asks for libraries: %v (%v)", libraries, err)
	}
	mustBeWithoutCgo(t, binary)
}

func mustBeWithoutCgo(t *testing.T, binary string) {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "CGO_ENABLED" && s.Value == "0" }) {
		t.Error("it was built with cgo")
	}
}

// run runs a program and returns what it wrote to its standard output.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var said, complained strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &complained
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, said.String(), complained.String())
	}
	return said.String()
}
