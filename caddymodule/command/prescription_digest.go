package command

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
)

func prescriptionDigestCommand() *cobra.Command {
	flags := &preparation{}
	cmd := &cobra.Command{
		Use:   "digest <bundle>...",
		Short: "Computes what $prepare answers for a prescription",
		Long: `
Prints one line of JSON for each file: the Parameters that EPS's $prepare returns for the bundle, with digest,
timestamp and algorithm, or the OperationOutcome that says why it refuses the bundle. The exit status is 1 if any
bundle is refused.`,
		Example: "  caddy countersign prescription digest bundle.json --at 2026-11-30T12:00:00Z",
		Args:    cobra.MinimumNArgs(1),
	}
	flags.atFlag(cmd, "`time` of signing, such as 2026-11-30T12:00:00Z; default: now")
	flags.algorithmFlag(cmd)
	return newCommand(cmd, func(_ context.Context, out output, files []string) error {
		at, err := flags.moment()
		if err != nil {
			return err
		}
		if err := flags.checkAlgorithm(); err != nil {
			return err
		}
		*out.printed = true
		refused := false
		for _, path := range files {
			_, prepared, outcome, err := prepareFile(path, flags.algorithm, at)
			if err != nil {
				return err
			}
			var answer any = prepared
			if outcome != nil {
				answer, refused = outcome, true
			}
			line, err := json.Marshal(answer)
			if err != nil {
				return err
			}
			fmt.Fprintf(out.stdout, "%s\n", line)
		}
		if refused {
			return errTold
		}
		return nil
	})
}
