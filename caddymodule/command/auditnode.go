package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

// These commands ask a running gateway, which holds the log and the store open.

func auditStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Shows the state of a running gateway's audit log and the known heads of all nodes",
		Long: `
Asks a running gateway for its audit log's last head, and for the logs that its store remembers. The exit status is
1 if anything is wrong with one of them.`,
		Example: "  caddy countersign audit status",
		Args:    cobra.NoArgs,
	}
	return auditAsks(cmd, http.MethodGet, func([]string) (string, url.Values, error) { return "", nil, nil }, true)
}

func auditRetireCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retire <node>",
		Short: "Records that a node's audit log will not come back",
		Long: `
Has the store of a running gateway forget that a log is missing: that of a node which was taken out of service, or, of
the gateway's own node, those before the present one. Find out first where the log is: its records are evidence. The
gateway's audit log records the retirement, with the last heads that were remembered.`,
		Example: "  caddy countersign audit retire gw-2",
		Args:    cobra.ExactArgs(1),
	}
	return auditAsks(cmd, http.MethodPost, func(args []string) (string, url.Values, error) {
		return "/" + args[0] + "/retire", nil, audit.CheckNode(args[0])
	}, false)
}

func auditHandedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "handed <head> --to <where>",
		Short: "Records that a head of the audit log is kept outside",
		Long: `
Tells a running gateway that somebody outside keeps a head of its log, as "audit head" prints it, so that the files
up to it may be removed when they are older than keep. The gateway checks that the log contains the head, and records
this. A webhook that a client has taken counts as well, without this command.`,
		Example: "  caddy countersign audit handed gw-1/5123:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --to \"archive, box 7\"",
		Args:    cobra.ExactArgs(1),
	}
	to := cmd.Flags().String("to", "", "`where` the head is kept, for the record")
	return auditAsks(cmd, http.MethodPost, func(args []string) (string, url.Values, error) {
		head, err := audit.ParsePosition(args[0])
		return "/handed", url.Values{"head": {head.String()}, "to": {*to}}, err
	}, false)
}

func auditHoldCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold <reason> | --end",
		Short: "Keeps the files of the audit log from being removed",
		Long: `
From now on no file of the running gateway's log is removed, however old it is, until the hold is ended. The log
records both. A hold is a file named hold beside the log's: one that was placed by hand, while no gateway runs, holds
as well. Each node has a log of its own: place the hold on each.`,
		Example: "  caddy countersign audit hold \"claim 4711\"\n  caddy countersign audit hold --end",
		Args:    cobra.MaximumNArgs(1),
	}
	end := cmd.Flags().Bool("end", false, "end the hold")
	return auditAsks(cmd, http.MethodPost, func(args []string) (string, url.Values, error) {
		switch {
		case *end && len(args) > 0:
			return "", nil, errors.New("--end takes no reason")
		case *end:
			return "/release", nil, nil
		case len(args) == 0:
			return "", nil, errors.New("give the reason of the hold, or --end")
		}
		return "/hold", url.Values{"reason": {args[0]}}, nil
	}, false)
}

// auditAsks completes a command that sends one request and prints the state of the audit log afterwards.
func auditAsks(cmd *cobra.Command, method string, request func(args []string) (path string, query url.Values, err error), judges bool) *cobra.Command {
	address := addressFlag(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		below, query, err := request(args)
		if err != nil {
			return err
		}
		var status adminapi.Audit
		if err := adminJSON(ctx, *address, method, "/countersign/audit"+below, query, &status); err != nil {
			return err
		}
		err = out.answer(status, func(w io.Writer) error { tellAuditStatus(w, status); return nil })
		if err == nil && judges && (status.Error != "" || status.HeadError != "" || len(status.Missing) > 0) {
			return errTold
		}
		return err
	})
}

func tellAuditStatus(w io.Writer, s adminapi.Audit) {
	fmt.Fprintf(w, "Log of node %s in %s\n", shown(s.Node), shown(s.Dir))
	if s.Head != nil {
		fmt.Fprintf(w, "Last head: %s, signed %s, %s behind it\n", auditPosition(s.Node, *s.Head), second(s.Head.Time), entriesOf(s.Unsigned))
	}
	for _, wrong := range [][2]string{
		{"It cannot be written", s.Error}, {"Its head cannot be signed", s.HeadError}, {"The store could not be asked", s.StoreError},
	} {
		if wrong[1] != "" {
			fmt.Fprintf(w, "%s: %s\n", wrong[0], shown(wrong[1]))
		}
	}
	tellRetention(w, s)
	fmt.Fprintln(w)
	rows := newTable(w)
	rows.row("NODE", "SEEN", "STATE", "LAST HEAD THAT IS REMEMBERED")
	for _, n := range s.Nodes {
		state := "as remembered"
		if !n.Retired.IsZero() {
			state = "retired"
		}
		for _, m := range s.Missing {
			if m.Node == n.Node {
				state = m.What
			}
		}
		rows.row(n.Node, minute(n.Seen), state, auditPosition(n.Node, n.Head))
	}
	rows.end()
	for _, m := range s.Missing {
		fmt.Fprintf(w, "The audit log of node %s does not match its last known head: %s. It had %s of %s.\n",
			shown(m.Node), m.What, auditPosition(m.Node, m.Head), second(m.Head.Time))
	}
}

// tellRetention prints what was handed outside and how much is kept.
func tellRetention(w io.Writer, s adminapi.Audit) {
	if s.Handed != nil {
		fmt.Fprintf(w, "Handed outside up to entry %d, %s: %s\n", s.Handed.Number, minute(s.Handed.Time), shown(s.Handed.To))
	} else {
		fmt.Fprintln(w, "No head was handed outside")
	}
	if s.Keep == "" {
		fmt.Fprintln(w, "Files are kept forever")
	} else {
		fmt.Fprintf(w, "Files are kept for %s: %d are older, of which %d wait for a head to be handed outside\n", s.Keep, s.Due, s.Waiting)
	}
	if s.Hold != nil {
		fmt.Fprintf(w, "Nothing is removed: a hold has been in place since %s: %s\n", minute(s.Hold.Since), shown(cmp.Or(s.Hold.Reason, "(no reason given)")))
	}
	if s.KeepError != "" {
		fmt.Fprintf(w, "Files could not be removed: %s\n", shown(s.KeepError))
	}
}

func auditPosition(node string, h adminapi.AuditHead) string {
	return shown(audit.Position{Node: node, Number: h.Number, Hash: h.Hash}.String())
}

func entriesOf(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
