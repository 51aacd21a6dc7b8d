package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tells what is wrong with a gateway at this moment",
		Long: `
Asks a running gateway what a person should look at: its store, agents, the key sets of its clients, OpenID providers,
catalogues, revocation lists, certificates and webhooks, in the words of the alert rules. The exit status is 1 if
anything is wrong.`,
		Example: "  caddy countersign status",
		Args:    cobra.NoArgs,
	}
	address := addressFlag(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		var status adminapi.Status
		if err := adminGet(ctx, *address, "/countersign/status", nil, &status); err != nil {
			return err
		}
		err := out.answer(status, func(w io.Writer) error { tellProblems(w, status); return nil })
		if err == nil && len(status.Problems) > 0 {
			return errTold
		}
		return err
	})
}

func tellProblems(w io.Writer, s adminapi.Status) {
	gateway := fmt.Sprintf("this gateway (%s, %s)", shown(s.Environment), shown(s.Version.Version))
	if len(s.Problems) == 0 {
		fmt.Fprintf(w, "Nothing is wrong with %s.\n", gateway)
		return
	}
	fmt.Fprintf(w, "To look at, on %s:\n\n", gateway)
	for _, p := range s.Problems {
		fmt.Fprintf(w, "- %s\n", shown(p.What))
		if p.Detail != "" {
			fmt.Fprintf(w, "  %s\n", shown(p.Detail))
		}
	}
}
