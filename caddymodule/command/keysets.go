package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

func jwksRefreshCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "refresh <client>",
		Short: "Has a running gateway read a client's keys now",
		Long: `
Has a running gateway fetch a client's key set, and read its key files, now: after the client has published a new
key, or has withdrawn one. Otherwise a set is fetched when it is older than an hour, and for an unknown kid. Tells
which keys can be used, and which were left out and why. The exit status is 1 if a set could not be read, or if no
key can be used.`,
		Example: "  caddy countersign jwks refresh demo-epr",
		Args:    cobra.ExactArgs(1),
	}
	address := addressFlag(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		var read adminapi.KeySets
		if err := adminPost(ctx, *address, "/countersign/keysets/"+args[0]+"/refresh", nil, &read); err != nil {
			return err
		}
		usable, failed := 0, false
		for _, set := range read.KeySets {
			usable += len(set.Keys)
			failed = failed || set.Error != ""
		}
		err := out.answer(read, func(w io.Writer) error { tellKeySets(w, read); return nil })
		if err == nil && (failed || usable == 0) {
			return errTold
		}
		return err
	})
}

// tellKeySets prints each source with its keys and with what was left out.
func tellKeySets(w io.Writer, read adminapi.KeySets) {
	for _, set := range read.KeySets {
		fmt.Fprintf(w, "%s: %s can be used\n", shown(set.Source), counted(len(set.Keys), "key"))
		for _, key := range set.Keys {
			fmt.Fprintf(w, "- %s, %d bits\n", shown(key.KID), key.Bits)
		}
		for _, line := range set.Skipped {
			fmt.Fprintf(w, "  %s\n", shown(line))
		}
		if set.Error != "" {
			fmt.Fprintf(w, "  It could not be read, and the keys read before stay in use: %s\n", shown(set.Error))
		}
	}
}
