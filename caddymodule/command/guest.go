package command

import (
	"context"
	"io"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

// Guest is a subcommand of "caddy countersign" from an opt-in package: a module of the namespace countersign.commands. It
// gets --json and everything else that all commands share.
type Guest interface {
	caddy.Module

	// Command is the command's name, its help and its flags.
	Command() *cobra.Command

	// Run runs the command. It writes progress to progress, which is standard error.
	Run(ctx context.Context, progress io.Writer, args []string) (Answer, error)
}

// Answer is the result of a command: the value for --json, and the same as text. Without Text it prints nothing.
type Answer struct {
	Value any
	Text  func(w io.Writer) error
}

// guestCommands are the subcommands of the opt-in packages in this build.
func guestCommands() []*cobra.Command {
	var commands []*cobra.Command
	for _, info := range caddy.GetModules("countersign.commands") {
		guest, ok := info.New().(Guest)
		if !ok {
			continue
		}
		commands = append(commands, newCommand(guest.Command(), func(ctx context.Context, out output, args []string) error {
			answer, err := guest.Run(ctx, out.stderr, args)
			if err != nil || answer.Text == nil {
				return err
			}
			return out.answer(answer.Value, answer.Text)
		}))
	}
	return commands
}
