package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/caddymodule"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Checks the audit log, prints its head, exports from it, or retires one",
		Long: `
The audit log holds a record of each batch (who asked, who signed, which payloads, with which certificate, through
which agent, when, and with what outcome) and of each access token (to whom, by which key). Its entries form a chain
of hashes whose heads the gateway signs. verify, head and export read the log's directory, change nothing in it, and
may run beside the gateway; the others ask the gateway that runs.`,
	}
	cmd.AddCommand(auditVerifyCommand(), auditHeadCommand(), auditExportCommand(), auditStatusCommand(),
		auditRetireCommand(), auditHandedCommand(), auditHoldCommand())
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Checks every hash, every link and every signed head of the audit log",
		Long: `
Reads the whole log and checks that nothing was changed, removed or inserted, that a head stands wherever one is
promised (every minute and every 1,000 entries), and that each head is signed by a key of the gateway. The exit status
is 1 if anything of this does not hold, or if the log is empty.

Trusted are the keys of --keys, or without it those in the gateway's storage, and every key that they vouch for in the
log: a set that was saved once stays good over rotations. If there is no key from either place, heads are checked
against the keys in the log itself, which shows no more than that the log is of one piece.

Whoever has the gateway's keys can write a log anew, and anybody who can write to the directory can cut the log back to
an earlier head. Neither contains a head that was kept elsewhere: give every one that you have with --head, as
"audit head", a webhook or the gateway's own log told it.
` + whichLog,
		Example: `  caddy countersign audit verify --keys published.jwks.json
  caddy countersign audit verify --head gw-1/5123:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Args: cobra.NoArgs,
	}
	which := addLogFlags(cmd)
	which.addKeys(cmd)
	heads := cmd.Flags().StringArray("head", nil, "`head` that the log must contain, as number:hash or node/number:hash; repeatable")
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		log, err := which.find(ctx)
		if err != nil {
			return err
		}
		of := audit.Evidence{Keys: log.keys}
		for _, text := range *heads {
			head, err := audit.ParsePosition(text)
			if err != nil {
				return fmt.Errorf("--head: %w", err)
			}
			of.Heads = append(of.Heads, head)
		}
		report, err := audit.Verify(log.dir, of)
		return tellAudit(out, log, report, err)
	})
}

func auditHeadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "head",
		Short: "Prints the last signed head of the audit log",
		Long: `
Verifies the log and prints its last signed head: the log's name, the number of the entry and its hash. Keep it where
nobody who can write to the gateway can change it, and give it to "audit verify --head" later: a log that contains it
has exactly the entries that it had then. Nothing is printed of a log that does not hold.
` + whichLog,
		Example: "  caddy countersign audit head >> /mnt/elsewhere/heads",
		Args:    cobra.NoArgs,
	}
	which := addLogFlags(cmd)
	which.addKeys(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		log, err := which.find(ctx)
		if err != nil {
			return err
		}
		report, err := audit.Verify(log.dir, audit.Evidence{Keys: log.keys})
		if err != nil {
			return fmt.Errorf("the log in %s is not intact: %w", log.dir, err)
		}
		fmt.Fprintf(out.stderr, "Of the log in %s\n", log.dir)
		return out.answer(report.Head, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, report.Head)
			return err
		})
	})
}

// auditVerdict is the result of audit verify.
type auditVerdict struct {
	Dir     string       `json:"dir"`
	KeysOf  string       `json:"keysOf,omitempty"` // the source of the trusted keys
	Holds   bool         `json:"holds"`
	Problem string       `json:"problem,omitempty"`
	Report  audit.Report `json:"report"`
}

func tellAudit(out output, log *auditLog, report audit.Report, problem error) error {
	verdict := auditVerdict{Dir: log.dir, KeysOf: log.keysOf, Holds: problem == nil, Report: report}
	if problem != nil {
		verdict.Problem = problem.Error()
	}
	err := out.answer(verdict, func(w io.Writer) error { verdict.tell(w); return nil })
	if err == nil && problem != nil {
		return errTold
	}
	return err
}

func (v auditVerdict) tell(w io.Writer) {
	of := v.Report
	fmt.Fprintf(w, "Log of node %s in %s\n", shown(cmp.Or(of.Node, "(without a name)")), v.Dir)
	if v.KeysOf != "" {
		fmt.Fprintf(w, "Trusted keys: %s\n", v.KeysOf)
	}
	state := "The log holds"
	if !v.Holds {
		state = "The log does NOT hold: " + v.Problem + "\nUp to there it holds"
	}
	fmt.Fprintf(w, "%s: %d entries from %s to %s, %d signed heads, %d entries behind the last of them.\n",
		state, of.Entries, day(of.First), day(of.Last), of.Heads, of.Unsigned)
	if of.Head != nil {
		fmt.Fprintf(w, "Last head: %s\n", shown(of.Head.String()))
	}
	if of.Late > 0 {
		fmt.Fprintf(w, "Heads that came later than promised, as the log explains: %d. Until then the entries before them could be changed unnoticed.\n", of.Late)
	}
	if of.Torn > 0 {
		fmt.Fprintf(w, "The last line is torn (%d bytes): a write that a crash cut off, or the log was cut.\n", of.Torn)
	}
	if !of.Trusted {
		fmt.Fprintln(w, "No key was trusted: the heads were checked against the keys in the log itself. Give a set that you kept elsewhere with --keys.")
	}
	for _, kid := range of.Vouched {
		fmt.Fprintf(w, "The key %s is not among the trusted ones, which vouch for it in the log.\n", shown(kid))
	}
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
name the people who signed: handle the output as the log itself.
` + whichLog,
		Example: "  caddy countersign audit export --since 2026-11-01T00:00:00Z --client demo-epr",
		Args:    cobra.NoArgs,
	}
	which := addLogFlags(cmd)
	since := cmd.Flags().String("since", "", "omit records before this `time`, such as 2026-11-01T00:00:00Z")
	until := cmd.Flags().String("until", "", "omit records at this `time` or later")
	client := cmd.Flags().String("client", "", "only the records of this client `id`")
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		log, err := which.find(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out.stderr, "Of the log in %s\n", log.dir)
		wanted, err := auditFilter(*since, *until, *client)
		if err != nil {
			return err
		}
		encoder := json.NewEncoder(out.stdout)
		encoder.SetEscapeHTML(false)
		*out.printed = true
		return audit.Read(log.dir, func(e audit.Entry) error {
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
