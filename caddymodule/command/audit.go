package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/jwks"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Checks the audit log, or exports from it",
		Long: `
The audit log holds a record of each batch (who asked, who signed, which payloads, with which certificate, through
which agent, when, and with what outcome) and of each access token (to whom, by which key). Its entries form a chain
of hashes whose heads the gateway signs. Both commands read the log's directory and may run beside the gateway.`,
	}
	cmd.AddCommand(auditVerifyCommand(), auditExportCommand())
	return cmd
}

// auditDir adds the flag that names the log.
func auditDir(cmd *cobra.Command) func() (string, error) {
	dir := cmd.Flags().String("dir", "", "the log's `directory`; by default the one under Caddy's data directory")
	return func() (string, error) { return (&caddymodule.Audit{Dir: *dir}).Path() }
}

func auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Checks every hash, every link and every signed head of the audit log",
		Long: `
Reads the whole log and checks that nothing was changed, taken out or put in between, and that each head is signed by
a key of the gateway. Trusted are the gateway's keys in Caddy's own file storage, or those of --keys; a head by
another key is checked against the public key in the log itself, which shows no more than that the log is of one
piece. Entries behind the last head could have been cut off without a trace; the answer says how many stand there.`,
		Example: "  caddy countersign audit verify --keys published.jwks.json",
		Args:    cobra.NoArgs,
	}
	dir := auditDir(cmd)
	keys := cmd.Flags().String("keys", "", "`file` with the JWK set of the keys to trust")
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		path, err := dir()
		if err != nil {
			return err
		}
		trusted, err := trustedKeys(ctx, *keys)
		if err != nil {
			return err
		}
		report, err := audit.Verify(path, trusted)
		return tellAudit(out, path, report, err)
	})
}

// trustedKeys reads a key set from a file, or the gateway's own from Caddy's default storage, where a set is
// not made if there is none.
func trustedKeys(ctx context.Context, file string) ([]byte, error) {
	if file != "" {
		set, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return nil, fmt.Errorf("--keys: %w", err)
		}
		return set, nil
	}
	storage := &certmagic.FileStorage{Path: caddy.AppDataDir()}
	if !storage.Exists(ctx, caddymodule.OwnKeysName) {
		return nil, nil
	}
	return jwks.NewRing(caddymodule.NewVault(storage), jwks.RingOptions{Name: caddymodule.OwnKeysName}).PublicSet(ctx)
}

// auditVerdict is what audit verify says.
type auditVerdict struct {
	Dir     string       `json:"dir"`
	Holds   bool         `json:"holds"`
	Problem string       `json:"problem,omitempty"`
	Report  audit.Report `json:"report"`
}

func tellAudit(out output, dir string, report audit.Report, problem error) error {
	verdict := auditVerdict{Dir: dir, Holds: problem == nil, Report: report}
	if problem != nil {
		verdict.Problem = problem.Error()
	}
	err := out.answer(verdict, func(w io.Writer) error {
		state := "The log holds"
		if problem != nil {
			state = "The log does NOT hold: " + verdict.Problem + "\nUp to there it holds"
		}
		_, err := fmt.Fprintf(w, "%s: %d entries from %s to %s, %d signed heads, %d entries behind the last of them.\n",
			state, report.Entries, day(report.First), day(report.Last), report.Heads, report.Unsigned)
		for _, kid := range report.Unknown {
			if err == nil {
				_, err = fmt.Fprintf(w, "Heads are signed by %s, which is not among the trusted keys: compare it with a set that you kept elsewhere.\n", kid)
			}
		}
		return err
	})
	if err == nil && problem != nil {
		return errTold
	}
	return err
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

func auditExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Prints the records of a time, as lines of JSON",
		Long: `
Prints each record of the log, oldest first, one JSON object a line, and checks the chain while it reads. Records
name the people who signed: handle the output as the log itself.`,
		Example: "  caddy countersign audit export --since 2026-11-01T00:00:00Z --client demo-epr",
		Args:    cobra.NoArgs,
	}
	dir := auditDir(cmd)
	since := cmd.Flags().String("since", "", "leave out what was recorded before this `time`, as 2026-11-01T00:00:00Z")
	until := cmd.Flags().String("until", "", "leave out what was recorded at this `time` or later")
	client := cmd.Flags().String("client", "", "only the records of this client `id`")
	return newCommand(cmd, func(_ context.Context, out output, _ []string) error {
		path, err := dir()
		if err != nil {
			return err
		}
		wanted, err := auditFilter(*since, *until, *client)
		if err != nil {
			return err
		}
		encoder := json.NewEncoder(out.stdout)
		encoder.SetEscapeHTML(false)
		*out.printed = true
		return audit.Read(path, func(e audit.Entry) error {
			if !wanted(e) {
				return nil
			}
			return encoder.Encode(e)
		})
	})
}

func auditFilter(since, until, client string) (func(audit.Entry) bool, error) {
	from, err := instant("--since", since)
	if err != nil {
		return nil, err
	}
	to, err := instant("--until", until)
	if err != nil {
		return nil, err
	}
	return func(e audit.Entry) bool {
		if e.Time.Before(from) || (!to.IsZero() && !e.Time.Before(to)) {
			return false
		}
		if e.Kind != caddymodule.AuditBatch && e.Kind != caddymodule.AuditToken {
			return false
		}
		var of struct {
			Client string `json:"client"`
		}
		return client == "" || (json.Unmarshal(e.Data, &of) == nil && of.Client == client)
	}, nil
}

func instant(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%s %q is not a time such as 2026-11-01T00:00:00Z", flag, text)
	}
	return t, nil
}
