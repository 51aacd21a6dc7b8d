package command

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "countersign",
		Usage: "<command> [<flags>]",
		Short: "Signs, verifies and explains what a Countersign gateway does",
		Long: `
The commands of Countersign. Each prints its answer to standard output, as text or with --json as one JSON value,
and everything else to standard error. The exit status is 0 when what was asked was done and holds, and 1 otherwise.`,
		CobraFunc: func(root *cobra.Command) {
			for _, build := range commands() {
				root.AddCommand(build())
			}
			root.AddCommand(guestCommands()...)
			courteous(root)
		},
	})
}

// commands are the constructors of all subcommands, sorted by name, one file each.
func commands() []func() *cobra.Command {
	return []func() *cobra.Command{
		auditCommand,
		clientCommand,
		conformanceCommand,
		deliveriesCommand,
		doctorCommand,
		jwksCommand,
		keygenCommand,
		onboardCommand,
		prescriptionCommand,
		sessionsCommand,
		signCommand,
		statusCommand,
		storeCommand,
		tokenCommand,
		verifyCommand,
		webhookCommand,
		whyCommand,
	}
}

// output is where a command writes.
type output struct {
	json    bool
	stdout  io.Writer // the answer
	stderr  io.Writer // progress, for people
	printed *bool     // the answer was printed
}

// errTold ends a command whose printed answer already reports the failure.
var errTold = errors.New("the check failed: see the answer")

// newCommand adds to a subcommand what all have in common: --json, cancellation by the interrupt signal, and exit status 1
// for every error. With --json, an error without an answer is printed as {"error": "…"}.
func newCommand(cmd *cobra.Command, run func(ctx context.Context, out output, args []string) error) *cobra.Command {
	asJSON := cmd.Flags().Bool("json", false, "print one JSON value, for programs")
	cmd.SilenceUsage = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
		out := output{json: *asJSON, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), printed: new(bool)}
		err := run(ctx, out, args)
		if errors.Is(err, errTold) {
			cmd.SilenceErrors = true
		} else if err != nil && out.json && !*out.printed {
			cmd.SilenceErrors = true
			return errors.Join(err, out.answer(map[string]string{"error": err.Error()}, nil))
		}
		return err
	}
	return cmd
}

// answer prints the answer, as JSON with --json, else with the given function.
func (o output) answer(answer any, text func(w io.Writer) error) error {
	*o.printed = true
	if !o.json {
		return text(o.stdout)
	}
	encoder := json.NewEncoder(o.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}
