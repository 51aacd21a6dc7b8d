package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

func whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why <request id>",
		Short: "Tells which check refused a request, what it expected and what it got",
		Long: `
Finds a refused request by its id (x-request-id, which every answer has), by its correlation id, or in a log by the
message_id of a token service's answer or the reference that the signing page shows. It tells which check refused it,
what that expected and what it got. It asks
a running gateway, which remembers the last ` + strconv.Itoa(adminapi.MaxRefusals) + ` refusals, or with --log reads a log file of Caddy's. Neither holds
tokens, persons or what was to be signed. The exit status is 1 if the request is not found.`,
		Example: "  caddy countersign why 0e7a8f0c-8a4a-4a5b-9c7e-6d2f6f3c1b2a\n  caddy countersign why --log /var/log/caddy/caddy.log req-1\n  caddy countersign why --log /var/log/caddy/caddy.log 0b9d7e609f4e",
		Args:    cobra.ExactArgs(1),
	}
	address := addressFlag(cmd)
	log := cmd.Flags().String("log", "", "log `file` of JSON lines, as Caddy writes them; - for standard input")
	cmd.MarkFlagsMutuallyExclusive("address", "log")
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		var found adminapi.RefusalList
		var err error
		if *log != "" {
			found.Refusals, err = searchLog(cmd.InOrStdin(), *log, args[0])
		} else if err = adminGet(ctx, *address, "/countersign/refusals/"+args[0], nil, &found); errors.As(err, new(errNotThere)) {
			err = fmt.Errorf("%w: --log FILE. If the caller did get an answer, compare the id with its x-request-id", err)
		}
		if err != nil {
			return err
		}
		return out.answer(found, func(w io.Writer) error {
			for _, refused := range found.Refusals {
				explainRefusal(w, refused)
			}
			return nil
		})
	})
}

// searchLog finds refusals in a log file, the latest last.
func searchLog(stdin io.Reader, path, id string) ([]adminapi.Refusal, error) {
	from := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	found, accepted, err := findInLog(from, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(found) > 0:
		return found, nil
	case accepted != "":
		return nil, fmt.Errorf("the request was not refused: it was accepted as session %s; see: caddy countersign sessions %s", accepted, accepted)
	}
	return nil, fmt.Errorf("%s has no refused request with this id; is it the log of the right gateway and time, in JSON, and at level INFO?", path)
}

// answered is what the caller was told; a run of an agent answers nobody.
func answered(r adminapi.Refusal) string {
	if r.Status == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Answer)
}

func explainRefusal(w io.Writer, r adminapi.Refusal) {
	table := newTable(w)
	table.row("Request", r.RequestID)
	if !r.Time.IsZero() {
		table.row("Refused", second(r.Time))
	}
	for _, line := range [][2]string{
		{"Endpoint", r.Endpoint}, {"Client", r.Client}, {"Target", r.Target}, {"Fault", r.Fault}, {"Check", r.Check}, {"Expected", r.Expected}, {"Got", r.Got}, {"Detail", r.Detail},
		{"Answer", answered(r)},
	} {
		if line[1] != "" {
			table.row(line[0], line[1])
		}
	}
	table.end()
	fmt.Fprintf(w, "What to do: %s\n\n", advise(r))
}
