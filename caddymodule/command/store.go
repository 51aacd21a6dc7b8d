package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/durable"
	"github.com/seed-dd2befc3/countersign/store/backup"
)

func storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Backs up the store, restores it, checks it for damage, or repairs it",
		Long: `
The store holds signing sessions with what is signed in them, access tokens (as hashes) and what else must survive a
restart. It holds none of the gateway's keys: those are in Caddy's storage, which is backed up by itself.`,
	}
	cmd.AddCommand(storeBackupCommand(), storeRestoreCommand(), storeCheckCommand(), storeRepairCommand())
	return cmd
}

// storeAnswer is what backup and restore say.
type storeAnswer struct {
	File  string `json:"file"`
	Store string `json:"store"` // its engine, and where it is
	backup.Summary
}

func (a storeAnswer) text(done string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, as of %s.\n", done, counted(a.Records, "record"), minute(a.Made))
		return err
	}
}

func storeBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup <file>",
		Short: "Writes a backup of a running gateway's store",
		Long: `
Asks a running gateway for everything in its store, as of one moment, while it goes on working. The file is written
for its owner alone, and has its name only once it is whole: it holds what was signed and the ids of people.`,
		Example: "  caddy countersign store backup store-2026-11-22.backup",
		Args:    cobra.ExactArgs(1),
	}
	address := addressFlag(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		answer := storeAnswer{File: args[0]}
		var err error
		if answer.Store, answer.Summary, err = fetchBackup(ctx, *address, args[0]); err != nil {
			return err
		}
		return out.answer(answer, answer.text(fmt.Sprintf("Written to %s from the store %s", args[0], answer.Store)))
	})
}

// fetchBackup writes the stream to a file beside the one that is asked for, reads it to its end, and gives it its name.
// The store is the one that the gateway names.
func fetchBackup(ctx context.Context, address, path string) (of string, summary backup.Summary, err error) {
	if _, err := os.Stat(path); err == nil {
		return "", summary, fmt.Errorf("%s exists; name a file that does not", path)
	}
	response, err := adminCall(ctx, address, http.MethodPost, "/countersign/backup", nil)
	if err != nil {
		return "", summary, err
	}
	defer response.Body.Close()
	of = cmp.Or(shown(response.Header.Get(adminapi.StoreHeader)), "of a gateway that does not name it")
	unfinished := path + ".unfinished"
	f, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return of, summary, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(unfinished))
		}
	}()
	_, err = io.Copy(f, response.Body)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		summary, err = backup.Check(f)
	}
	if err == nil {
		err = durable.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return of, summary, fmt.Errorf("the backup broke off: %w", err)
	}
	if err = os.Rename(unfinished, path); err != nil {
		return of, summary, err
	}
	return of, summary, durable.SyncDir(filepath.Dir(path))
}

func storeRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore <file>",
		Short: "Fills the empty store of a configuration from a backup",
		Long: `
Fills the store of a gateway, of whatever engine, which must be empty; the gateway must not run. The backup is checked
to its end before anything of it is restored. This is also the way from one engine to another.
` + whichStore + `
Before restoring over a store that is there, move its directory aside. What happened after the backup was made is
gone: clients make their requests again, and an assertion for a token that was used since could be used once more
until it expires, five minutes at most.`,
		Example: "  caddy countersign store restore --config /etc/countersign/Caddyfile store-2026-11-22.backup",
		Args:    cobra.ExactArgs(1),
	}
	which := addStoreFlags(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		answer := storeAnswer{File: args[0]}
		file, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		err = which.withEngine(ctx, func(ctx context.Context, engine caddymodule.Engine) (err error) {
			answer.Store = engine.Identity()
			answer.Summary, err = restore(ctx, engine, file)
			return err
		})
		if err != nil {
			return err
		}
		return out.answer(answer, answer.text(fmt.Sprintf("Restored from %s into the store %s", args[0], answer.Store)))
	})
}

func restore(ctx context.Context, engine caddymodule.Engine, path string) (backup.Summary, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return backup.Summary{}, err
	}
	defer f.Close()
	if _, err := backup.Check(f); err != nil { // before a store is made
		return backup.Summary{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return backup.Summary{}, err
	}
	into, err := engine.Open(ctx)
	if err != nil {
		return backup.Summary{}, err
	}
	summary, err := backup.Restore(ctx, f, into)
	if errors.Is(err, backup.ErrNotEmpty) {
		err = fmt.Errorf("%s: %w; move it aside first", engine.Identity(), err)
	}
	return summary, errors.Join(err, into.Close())
}
