package command

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

// These commands ask a running gateway, which has its log open and its store.

func auditStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tells how a running gateway's audit log is, and what its store remembers of all nodes'",
		Long: `
Asks a running gateway for its audit log's last head, and for the logs that its store remembers. The exit status is
1 if anything is wrong with one of them.`,
		Example: "  caddy countersign audit status",
		Args:    cobra.NoArgs,
	}
	return auditAsks(cmd, http.MethodGet, func([]string) (string, error) { return "", nil }, true)
}

func auditRetireCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retire <node>",
		Short: "Says that a node's audit log will not come back",
		Long: `
Has the store of a running gateway forget that a log is missing: that of a node which was taken out of service, or, of
the gateway's own node, those before the present one. Find out first where the log is: its records are evidence. The
gateway's audit log records the retirement, with the last heads that were remembered.`,
		Example: "  caddy countersign audit retire gw-2",
		Args:    cobra.ExactArgs(1),
	}
	return auditAsks(cmd, http.MethodPost, func(args []string) (string, error) {
		return "/" + args[0] + "/retire", audit.CheckNode(args[0])
	}, false)
}

// auditAsks completes a command that makes one request and tells how the audit log is then.
func auditAsks(cmd *cobra.Command, method string, path func(args []string) (string, error), judges bool) *cobra.Command {
	address := addressFlag(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		below, err := path(args)
		if err != nil {
			return err
		}
		var status adminapi.Audit
		if err := adminJSON(ctx, *address, method, "/countersign/audit"+below, nil, &status); err != nil {
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
		fmt.Fprintf(w, "The audit log of node %s is not as it is remembered: %s. It had %s of %s.\n",
			shown(m.Node), m.What, auditPosition(m.Node, m.Head), second(m.Head.Time))
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
