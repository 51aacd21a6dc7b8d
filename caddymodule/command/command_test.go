package command

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// outcome is what a command in this process did.
type outcome struct {
	stdout, stderr string
	err            error
}

// execute runs a subcommand with arguments, as the binary would.
func execute(t *testing.T, cmd *cobra.Command, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetArgs(append([]string{}, args...)) // never nil, which stands for those of the test process
	err := cmd.ExecuteContext(t.Context())
	return outcome{stdout.String(), stderr.String(), err}
}

// json reads what the command printed for programs: one JSON value and nothing else.
func (o outcome) json(t *testing.T, v any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(o.stdout))
	if err := decoder.Decode(v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, o.stdout)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatalf("more than one JSON value: %s", o.stdout)
	}
}

// mustSay holds what people read to parts of it.
func mustSay(t *testing.T, said string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("does not say %q:\n%s", part, said)
		}
	}
}

// TestCommands holds what is common to all subcommands: they are registered, explain themselves and know --json.
func TestCommands(t *testing.T) {
	if _, ok := caddycmd.Commands()["countersign"]; !ok {
		t.Fatal("caddy countersign is not registered")
	}
	names := map[string]bool{}
	for _, build := range commands() {
		cmd := build()
		if names[cmd.Name()] || cmd.Short == "" || cmd.Long == "" {
			t.Errorf("%s: twice, or without an explanation", cmd.Name())
		}
		names[cmd.Name()] = true
		for _, c := range append([]*cobra.Command{cmd}, cmd.Commands()...) {
			if c.Runnable() && c.Flags().Lookup("json") == nil {
				t.Errorf("%s has no --json", c.CommandPath())
			}
		}
	}
}

// TestCommandErrors holds the common way to fail: text on standard error, with --json one value on standard output.
func TestCommandErrors(t *testing.T) {
	failing := func() *cobra.Command {
		return newCommand(&cobra.Command{Use: "fail"}, func(context.Context, output, []string) error { return io.ErrUnexpectedEOF })
	}
	said := execute(t, failing())
	if said.err == nil || said.stdout != "" || !strings.Contains(said.stderr, "unexpected EOF") {
		t.Errorf("as text: %+v", said)
	}
	said = execute(t, failing(), "--json")
	var answer struct{ Error string }
	if said.json(t, &answer); said.err == nil || answer.Error != "unexpected EOF" || said.stderr != "" {
		t.Errorf("as JSON: %+v", said)
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"rx-1.json": "rx-1.json", `a "b" c`: `a "b" c`, "Grün": "Grün", "": "",
		"\x1b[31mred": `"\x1b[31mred"`, "a\nb": `"a\nb"`, "a\tb": `"a\tb"`, `a\b`: `"a\\b"`,
	} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestCommandsAreDocumented holds the page to the commands and their flags.
func TestCommandsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, build := range commands() {
		cmd := build()
		if !strings.Contains(string(page), "`"+cmd.Name()) {
			t.Errorf("docs/command-line.md does not tell of %s", cmd.Name())
		}
		for _, c := range append([]*cobra.Command{cmd}, cmd.Commands()...) {
			c.LocalFlags().VisitAll(func(flag *pflag.Flag) {
				if !strings.Contains(string(page), "`--"+flag.Name) {
					t.Errorf("docs/command-line.md does not tell of %s --%s", c.Name(), flag.Name)
				}
			})
		}
	}
}
