package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// helpTemplate is cobra's template with a link to the page of these commands instead of Caddy's.
const helpTemplate = `
{{with (or .Long .Short)}}{{trim .}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}
Full documentation is available at:
https://github.com/seed-dd2befc3/countersign/blob/main/docs/command-line.md
`

// courteous makes the commands under root say what to type after a mistake: the help for a wrong flag, the usage for a
// wrong number of arguments, and an error instead of the help for a wrong subcommand.
func courteous(root *cobra.Command) {
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return fmt.Errorf("%w; %s", err, seeHelp(cmd)) })
	usageOnError(root)
}

func usageOnError(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		usageOnError(sub)
	}
	switch check := cmd.Args; {
	case cmd.HasSubCommands() && !cmd.Runnable():
		cmd.SilenceUsage = true
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q: %s", args[0], seeHelp(cmd))
			}
			return cmd.Help()
		}
	case check != nil:
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			switch {
			case err == nil:
				return nil
			case len(args) > 0 && check(cmd, args[:1]) != nil && check(cmd, nil) == nil: // what it is about stands in a flag
				return fmt.Errorf("unexpected argument %q: this command takes only flags; %s", args[0], seeHelp(cmd))
			}
			return fmt.Errorf("%w; write: %s", err, cmd.UseLine())
		}
	}
}

func seeHelp(cmd *cobra.Command) string { return "see " + cmd.CommandPath() + " --help" }
