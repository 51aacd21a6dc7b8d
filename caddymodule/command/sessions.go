package command

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/signing"
)

func sessionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions [<id>]",
		Short: "Lists signing sessions, or explains one",
		Long: `
Asks a running gateway for its signing sessions: their states, tries and times. With an id, which is the beginning of
a hash and stands in the log as "session", it explains that session. Tokens, persons and what is signed are never
shown.`,
		Example: "  caddy countersign sessions --state failed\n  caddy countersign sessions 1f0e3dad99908345f7439f8ffabdffc4",
		Args:    cobra.MaximumNArgs(1),
	}
	address := addressFlag(cmd)
	client := cmd.Flags().String("client", "", "only sessions of this client `id`")
	state := cmd.Flags().String("state", "", fmt.Sprintf("only sessions in this `state`: one of %v", adminapi.SessionStates()))
	after := cmd.Flags().String("after", "", "go on after this `cursor` of an earlier list")
	limit := cmd.Flags().Int("limit", adminapi.DefaultListed, "how many at most")
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		if len(args) == 1 {
			var session signing.Summary
			if err := adminGet(ctx, *address, "/countersign/sessions/"+args[0], nil, &session); err != nil {
				return err
			}
			return out.answer(session, func(w io.Writer) error { explainSession(w, session); return nil })
		}
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		for name, value := range map[string]string{"client": *client, "state": *state, "after": *after} {
			if value != "" {
				query.Set(name, value)
			}
		}
		var list adminapi.SessionList
		if err := adminGet(ctx, *address, "/countersign/sessions", query, &list); err != nil {
			return err
		}
		return out.answer(list, func(w io.Writer) error { listSessions(w, list); return nil })
	})
}

// listSessions lists them, the youngest first.
func listSessions(w io.Writer, l adminapi.SessionList) {
	if len(l.Sessions) == 0 && l.Next == "" {
		fmt.Fprintln(w, "There are no such sessions.")
		return
	}
	slices.SortStableFunc(l.Sessions, func(a, b signing.Summary) int { return b.Created.Compare(a.Created) })
	table := newTable(w)
	table.row("SESSION", "CLIENT", "STATE", "ITEMS", "TRIES", "CREATED", "REASON")
	for _, s := range l.Sessions {
		reason := ""
		if s.Reason != nil {
			reason = s.Reason.Code
		}
		table.row(s.ID, s.Client, string(s.State), strconv.Itoa(s.Items), strconv.Itoa(s.Tries), minute(s.Created), reason)
	}
	table.end()
	fmt.Fprintf(w, "%s. Explain one with: caddy countersign sessions <id>\n", counted(len(l.Sessions), "session"))
	if l.Next != "" {
		fmt.Fprintf(w, "There are more: --after %s\n", shown(l.Next))
	}
}

func explainSession(w io.Writer, s signing.Summary) {
	table := newTable(w)
	table.row("Session", s.ID)
	table.row("Client", s.Client)
	items := fmt.Sprintf("%d, to be signed with %s", s.Items, s.Algorithm)
	if s.Mock {
		items += " by the mock smartcard"
	}
	table.row("Items", items)
	table.row("Created", minute(s.Created))
	table.row("State", string(s.State))
	if s.Reason != nil {
		table.row("Reason", s.Reason.Code+": "+s.Reason.Title)
	}
	table.row("Tries", fmt.Sprintf("%d; %d left", s.Tries, s.TriesLeft))
	table.end()
	for _, sentence := range explanation(s) {
		fmt.Fprintln(w, shown(sentence))
	}
}

// explanation says in words where a session stands, and what has to happen next.
func explanation(s signing.Summary) []string {
	switch s.State {
	case signing.StateCreated:
		opened := "The request was accepted, and nobody has opened its signing page yet."
		if s.Reason != nil {
			opened = "The signing page waits for the right person to sign in. Whoever came last was told: " + s.Reason.Text
		}
		return []string{
			opened,
			"Next: the client system sends the person's browser to the redirectUri that it was given, before " + minute(s.Deadline) + ".",
		}
	case signing.StateOpened:
		said := []string{"The signing page is open in one browser and waits for the person to press the button."}
		if s.Reason != nil {
			said[0] = "The last try did not succeed; the person was told: " + s.Reason.Text
		}
		return append(said, fmt.Sprintf("Next: the person tries there, before %s; %d tries are left.", minute(s.Deadline), s.TriesLeft))
	case signing.StateSigning:
		return []string{
			fmt.Sprintf("The smartcard agent is at work: %d of %d items are signed.", s.Done, s.Items),
			"Next: the agent ends, or is given up when it was silent until " + s.Lease.UTC().Format(time.TimeOnly) + " UTC, and the person can try again.",
		}
	case signing.StateSigned:
		if s.Fetched {
			return []string{"All signatures were verified, and the client has fetched them for the one time that is configured."}
		}
		return []string{
			"All signatures were verified at " + minute(s.Signed) + ".",
			"Next: the client fetches them, before " + minute(s.Until) + ".",
		}
	}
	said := []string{"It is over, and nothing was released."}
	if s.Reason != nil {
		said = append(said, "The person was told: "+s.Reason.Text)
	}
	switch s.State {
	case signing.StateFailed:
		said = append(said, `Next: look for the session in the log ("signing run ended"), which says what the agent returned; then the client makes a new request.`)
	case signing.StateExpired:
		said = append(said, "Next: the client makes a new request. If this happens often, look at why people do not get to the page in time, or raise sign_within.")
	default:
		said = append(said, "Next: the client makes a new request if the person wants to sign after all.")
	}
	return said
}
