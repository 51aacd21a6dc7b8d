package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

func deliveriesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "Lists, explains and replays webhooks",
		Long: `
Asks a running gateway for its webhooks: to which clients, in which state, after how many attempts, and why the last
one failed. A webhook's id is that of its session, which stands in the log. Tokens are never shown.`,
	}
	cmd.AddCommand(deliveriesListCommand(), deliveriesShowCommand(), deliveriesReplayCommand())
	return cmd
}

func deliveriesListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Lists webhooks: dead letters and waiting ones, or those in one state",
		Example: "  caddy countersign deliveries list\n  caddy countersign deliveries list --state dead --client demo-epr",
		Args:    cobra.NoArgs,
	}
	address := addressFlag(cmd)
	client := cmd.Flags().String("client", "", "only those to this client `id`")
	state := cmd.Flags().String("state", "", fmt.Sprintf("only those in this `state`: one of %v", webhook.States()))
	after := cmd.Flags().String("after", "", "go on after this `cursor` of an earlier list")
	limit := cmd.Flags().Int("limit", adminapi.DefaultListed, "how many at most")
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		for name, value := range map[string]string{"client": *client, "state": *state, "after": *after} {
			if value != "" {
				query.Set(name, value)
			}
		}
		var list adminapi.DeliveryList
		if err := adminGet(ctx, *address, "/countersign/deliveries", query, &list); err != nil {
			return err
		}
		return out.answer(list, func(w io.Writer) error { listDeliveries(w, list); return nil })
	})
}

func deliveriesShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show <id>",
		Short:   "Explains one webhook",
		Example: "  caddy countersign deliveries show 1f0e3dad99908345f7439f8ffabdffc4",
		Args:    cobra.ExactArgs(1),
	}
	address := addressFlag(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		var found adminapi.Delivery
		if err := adminGet(ctx, *address, "/countersign/deliveries/"+args[0], nil, &found); err != nil {
			return err
		}
		return out.answer(found, func(w io.Writer) error { explainDelivery(w, found); return nil })
	})
}

func deliveriesReplayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay <id> | --all-dead",
		Short: "Delivers a webhook again, or all dead letters",
		Long: `
Makes a webhook due now, with its whole time before it: a dead letter once its receiver is mended, or one that was
delivered and lost there. It keeps its id, so a receiver that has dealt with it already drops it.`,
		Example: "  caddy countersign deliveries replay 1f0e3dad99908345f7439f8ffabdffc4\n  caddy countersign deliveries replay --all-dead --client demo-epr",
		Args:    cobra.MaximumNArgs(1),
	}
	address := addressFlag(cmd)
	allDead := cmd.Flags().Bool("all-dead", false, "replay every dead letter")
	client := cmd.Flags().String("client", "", "with --all-dead: only those to this client `id`")
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		var path string
		query := url.Values{}
		switch {
		case *allDead == (len(args) == 1):
			return errors.New("give the id of one webhook, or --all-dead")
		case *client != "" && !*allDead:
			return errors.New("--client needs --all-dead")
		case *allDead:
			path = "/countersign/deliveries/replay"
			if *client != "" {
				query.Set("client", *client)
			}
		default:
			path = "/countersign/deliveries/" + args[0] + "/replay"
		}
		var replayed adminapi.Replayed
		if err := adminPost(ctx, *address, path, query, &replayed); err != nil {
			return err
		}
		return out.answer(replayed, func(w io.Writer) error { fmt.Fprintln(w, tellReplayed(replayed.Replayed)); return nil })
	})
}

// tellReplayed returns how many webhooks are due again.
func tellReplayed(n int) string {
	switch n {
	case 0:
		return "There was nothing to replay."
	case 1:
		return "1 webhook is due again, with the same id."
	}
	return fmt.Sprintf("%d webhooks are due again, with the same ids.", n)
}

func listDeliveries(w io.Writer, l adminapi.DeliveryList) {
	if len(l.Deliveries) == 0 && l.Next == "" {
		fmt.Fprintln(w, "No webhooks found. Without --state, the list holds dead letters and waiting ones.")
		return
	}
	table := newTable(w)
	table.row("ID", "CLIENT", "STATE", "TYPE", "SINCE", "ATTEMPTS", "LAST", "NEXT")
	for _, d := range l.Deliveries {
		last, next, since := "", "", ""
		if d.Last != nil {
			last = d.Last.Outcome
		}
		if !d.Next.IsZero() {
			next = second(d.Next)
		}
		if !d.Since.IsZero() {
			since = minute(d.Since)
		}
		table.row(d.ID, d.Client, string(d.State), d.Type, since, strconv.Itoa(d.Attempts), last, next)
	}
	table.end()
	fmt.Fprintf(w, "%s. Explain one with: caddy countersign deliveries show <id>\n", counted(len(l.Deliveries), "webhook"))
	if l.Next != "" {
		fmt.Fprintf(w, "There are more: --after %s\n", shown(l.Next))
	}
}

func explainDelivery(w io.Writer, d adminapi.Delivery) {
	table := newTable(w)
	table.row("Webhook", d.ID)
	table.row("Client", d.Client)
	if d.Address != "" {
		table.row("Address", d.Address)
	}
	if d.Type != "" {
		table.row("Type", d.Type+", of "+second(d.At))
	}
	table.row("State", string(d.State))
	table.row("Attempts", strconv.Itoa(d.Attempts))
	if d.Last != nil {
		table.row("Last", fmt.Sprintf("%s at %s, after %d ms", d.Last.Outcome, second(d.Last.At), d.Last.Millis))
	}
	table.end()
	for _, sentence := range deliveryExplanation(d) {
		fmt.Fprintln(w, shown(sentence))
	}
}

// deliveryExplanation describes the state of a webhook and what happens next.
func deliveryExplanation(d adminapi.Delivery) (said []string) {
	if d.Last != nil && d.Last.Detail != "" {
		said = append(said, "The last attempt failed: "+d.Last.Detail+".")
	}
	switch d.State {
	case webhook.Waiting:
		return append(said, "The session has not ended, so there is nothing to deliver yet.",
			"Next: the session ends, or expires at "+second(d.At)+".")
	case webhook.Pending:
		if d.Address == "" {
			said = append(said, "Its client has no webhook in the current configuration, so it becomes a dead letter.")
		}
		return append(said, "Next: the next attempt, at "+second(d.Next)+".")
	case webhook.Delivered:
		return append(said, "The receiver accepted it at "+second(d.Ended)+".",
			"If it was lost there, replay it before "+minute(d.Until)+": caddy countersign deliveries replay "+d.ID)
	}
	return append(said, "It has been a dead letter since "+second(d.Ended)+": "+d.Why+".",
		"Next: fix the cause, then replay it before "+minute(d.Until)+": caddy countersign deliveries replay "+d.ID)
}
