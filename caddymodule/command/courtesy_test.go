package command

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// tree is the command line as the binary has it, without Caddy around it.
func tree() *cobra.Command {
	caddy := &cobra.Command{Use: "caddy"}
	root := &cobra.Command{Use: "countersign", Long: "\nThe commands."}
	caddy.AddCommand(root)
	for _, build := range commands() {
		root.AddCommand(build())
	}
	courteous(root)
	return caddy
}

// TestMistypedCommands holds what was typed wrongly to an answer that says what to type, and to an exit status of 1.
func TestMistypedCommands(t *testing.T) {
	for typed, want := range map[string]string{
		"sesions":              `unknown command "sesions": see caddy countersign --help`,
		"deliveries lst":       `unknown command "lst": see caddy countersign deliveries --help`,
		"deliveries --address": "unknown flag: --address; see caddy countersign deliveries --help",
		"why":                  "accepts 1 arg(s), received 0; write: caddy countersign why <request id> [flags]",
		"audit verify here":    `unexpected argument "here": this command takes only flags; see caddy countersign audit verify --help`,
		"sessions a b":         "accepts at most 1 arg(s), received 2; write: caddy countersign sessions [<id>] [flags]",
		"jwks one":             "give a kid and a PEM file for each key; write: caddy countersign jwks <kid> <PEM file> [<kid> <PEM file>]... [flags]",
		"sessions --stat x":    "unknown flag: --stat; see caddy countersign sessions --help",
	} {
		said := execute(t, tree(), strings.Fields("countersign "+typed)...)
		if said.err == nil || said.err.Error() != want || said.stdout != "" {
			t.Errorf("%s: %v, want %s\n%s", typed, said.err, want, said.stdout)
		}
	}
}

// TestHelp holds the help of every command to one width, to the page of these commands, and to flags whose values
// are named by a word that does not read like a type.
func TestHelp(t *testing.T) {
	var look func(path []string, cmd *cobra.Command)
	look = func(path []string, cmd *cobra.Command) {
		said := execute(t, tree(), append(path, "--help")...)
		if said.err != nil || !strings.HasPrefix(said.stdout, "\n") || !strings.Contains(said.stdout, "/docs/command-line.md\n") {
			t.Errorf("%v: %v\n%s", path, said.err, said.stdout)
		}
		if strings.Contains(said.stdout, "--environment int  ") {
			t.Errorf("%v: an environment reads like a number:\n%s", path, said.stdout)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > 120 {
				t.Errorf("%v: too long a line: %s", path, line)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				look(append(path[:len(path):len(path)], sub.Name()), sub)
			}
		}
	}
	look([]string{"countersign"}, tree().Commands()[0])
}
