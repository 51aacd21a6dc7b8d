package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/store/badger"
)

// storeVerdict is what check and repair say about an embedded store.
type storeVerdict struct {
	Dir     string        `json:"dir"`
	Damaged bool          `json:"damaged"` // something that was acknowledged is lost
	Losses  []badger.Loss `json:"losses"`  // also the unfinished end of a log, which is no damage
	Kept    []string      `json:"kept,omitempty"`
	// Repaired says that the store can be opened again, without what was lost.
	Repaired bool `json:"repaired,omitempty"`
}

func (v *storeVerdict) judge() {
	for _, l := range v.Losses {
		v.Damaged = v.Damaged || l.Damage
	}
}

func (v *storeVerdict) text(w io.Writer) error {
	for _, l := range v.Losses {
		what := "the unfinished end of a log, dropped at the next start"
		if l.Damage {
			what = "DAMAGE"
		}
		fmt.Fprintf(w, "%s: %s\n", l, what)
	}
	for _, kept := range v.Kept {
		fmt.Fprintf(w, "The damaged log is kept as %s\n", kept)
	}
	switch {
	case v.Repaired:
		fmt.Fprintf(w, "The store in %s can be opened again, without what was lost there.\n", v.Dir)
	case v.Damaged:
		fmt.Fprintf(w, "The store in %s is damaged. Restore a backup (caddy countersign store restore), or give up what is lost (caddy countersign store repair).\n", v.Dir)
	default:
		fmt.Fprintf(w, "The store in %s is whole.\n", v.Dir)
	}
	return nil
}

func storeCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Looks for damage to the files of an embedded store",
		Long: `
Reads the files of a gateway's embedded store (badger), as the gateway itself does each time before it opens them. The
gateway must not run. The exit status is 1 where something that was acknowledged is lost.
` + whichStore,
		Example: "  caddy countersign store check --config /etc/countersign/Caddyfile",
		Args:    cobra.NoArgs,
	}
	which := addStoreFlags(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		return which.withBadger(ctx, func(ctx context.Context, engine *caddymodule.Badger) error {
			verdict := storeVerdict{Dir: engine.Path, Losses: []badger.Loss{}}
			if badger.InUse(engine.Path) { // what is being written to may look damaged
				return fmt.Errorf("%s is in use: stop the gateway first", engine.Path)
			}
			losses, err := badger.Inspect(engine.Path)
			if err != nil {
				return err
			}
			verdict.Losses = append(verdict.Losses, losses...)
			if verdict.judge(); !verdict.Damaged { // opening it reads the tables too
				opened, err := engine.Open(ctx)
				if err != nil {
					return err
				}
				if err := opened.Close(); err != nil {
					return err
				}
			}
			if err := out.answer(verdict, verdict.text); err != nil || !verdict.Damaged {
				return err
			}
			return errTold
		})
	})
}

func storeRepairCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Gives up what is lost in a damaged embedded store, so that it can be opened",
		Long: `
For a store that the gateway refuses to open because of damage, where there is no backup to restore. What is lost is
told and stays lost: requests, signatures or tokens of about that time. What was written after it is kept, and so is
the damaged log, beside the store. The gateway must not run.
` + whichStore,
		Example: "  caddy countersign store repair --config /etc/countersign/Caddyfile",
		Args:    cobra.NoArgs,
	}
	which := addStoreFlags(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error {
		return which.withBadger(ctx, func(_ context.Context, engine *caddymodule.Badger) error {
			verdict := storeVerdict{Dir: engine.Path, Losses: []badger.Loss{}}
			losses, kept, err := badger.Repair(engine.Path, time.Now())
			if err != nil {
				return err
			}
			verdict.Losses, verdict.Kept = append(verdict.Losses, losses...), kept
			verdict.judge()
			verdict.Repaired = verdict.Damaged
			return out.answer(verdict, verdict.text)
		})
	})
}
