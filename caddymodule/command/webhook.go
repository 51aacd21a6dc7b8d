package command

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

func webhookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Sends a webhook to try a receiver with",
		Long: `
For developers of client systems: has a running gateway send a webhook to a receiver that is being written, so that the
receiver can be tried without anybody signing.`,
	}
	cmd.AddCommand(webhookSendCommand())
	return cmd
}

func webhookSendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "send <url>",
		Short: "Sends a signed webhook to a receiver, once",
		Long: `
Has a running gateway send one event to a receiver that is being developed: signed with the gateway's keys, as the real
ones are, of a session that does not exist. With --forged its signature does not verify, and the receiver has to refuse
it. The exit status is 1 when the receiver did not do what it should.`,
		Example: `  caddy countersign webhook send http://localhost:9090/webhook
  caddy countersign webhook send http://localhost:9090/webhook --type signing.cancelled
  caddy countersign webhook send http://localhost:9090/webhook --forged`,
		Args: cobra.ExactArgs(1),
	}
	address := addressFlag(cmd)
	eventType := cmd.Flags().String("type", client.WebhookCompleted, "`type` of the event: signing.completed, signing.failed, signing.cancelled or signing.expired")
	to := cmd.Flags().String("client", "trial", "the client `id` in the event")
	forged := cmd.Flags().Bool("forged", false, "send one whose signature does not verify")
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		query := url.Values{"url": {args[0]}, "type": {*eventType}, "client": {*to}, "forged": {strconv.FormatBool(*forged)}}
		var trial adminapi.Trial
		if err := adminPost(ctx, *address, "/countersign/webhooks/send", query, &trial); err != nil {
			return err
		}
		good, verdict := judgeTrial(trial)
		if err := out.answer(trial, func(w io.Writer) error { tellTrial(w, args[0], trial, verdict); return nil }); err != nil {
			return err
		}
		if !good {
			return errTold
		}
		return nil
	})
}

// judgeTrial says whether the receiver did what it should, and in words what it did.
func judgeTrial(t adminapi.Trial) (good bool, verdict string) {
	switch outcome := t.Attempt.Outcome; {
	case t.Forged && outcome == webhook.OutcomeDelivered:
		return false, "The receiver took a webhook whose signature does not verify. It must answer 400 or 401."
	case t.Forged && outcome == webhook.OutcomeRejected:
		return true, "The receiver refused a webhook whose signature does not verify, as it should."
	case !t.Forged && outcome == webhook.OutcomeDelivered:
		return true, "The receiver took it."
	}
	return false, "The receiver did not take it: " + t.Attempt.Detail + "."
}

func tellTrial(w io.Writer, address string, t adminapi.Trial, verdict string) {
	table := newTable(w)
	table.row("Sent", t.Type+", id "+t.ID)
	table.row("To", address)
	for _, set := range t.KeySets {
		table.row("Keys", set)
	}
	if t.Attempt.Status != 0 {
		table.row("Answer", fmt.Sprintf("%d, after %d ms", t.Attempt.Status, t.Attempt.Millis))
	}
	table.end()
	fmt.Fprintln(w, shown(verdict))
	fmt.Fprintln(w, shown(t.Body))
}
