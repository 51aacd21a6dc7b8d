package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// whichLog is the part of a command's help that says which log it reads.
const whichLog = `
The log is that of --dir, or of the configuration (--config). Where it names no directory, that depends on the
gateway's environment: a systemd unit that runs with this configuration is found, and its environment counts; without
one, XDG_DATA_HOME must be set as it is for the gateway. A directory that follows from nothing but the HOME of whoever
calls is refused.
`

// logFlags say which audit log a command reads, and with which keys.
type logFlags struct {
	*placeFlags
	dir      string
	keys     []string
	withKeys bool
}

// auditLog is a log's directory and the trusted keys.
type auditLog struct {
	dir    string
	keys   [][]byte
	keysOf string // their source
}

func addLogFlags(cmd *cobra.Command) *logFlags {
	f := &logFlags{placeFlags: addPlaceFlags(cmd)}
	cmd.Flags().StringVar(&f.dir, "dir", "", "the log's `directory`; default: that of the configuration")
	return f
}

func (f *logFlags) addKeys(cmd *cobra.Command) {
	f.withKeys = true
	cmd.Flags().StringArrayVar(&f.keys, "keys", nil, "`file` with a JWK set of keys to trust; repeatable. Default: the gateway's keys in the storage of the configuration")
}

// find finds the log, and reads the keys if the command uses them. It reads the configuration for what no flag gives.
func (f *logFlags) find(ctx context.Context) (*auditLog, error) {
	log := &auditLog{}
	if f.dir != "" {
		dir, err := filepath.Abs(f.dir)
		if err != nil {
			return nil, err
		}
		log.dir = dir
	}
	if err := log.readKeys(f.keys); err != nil {
		return nil, err
	}
	if log.dir != "" && (len(log.keys) > 0 || !f.withKeys) {
		return log, nil
	}
	err := f.within(ctx, func(ctx caddy.Context, p *place) error { //nolint:contextcheck // Caddy's context is made of it
		if log.dir == "" {
			if err := log.findDir(p); err != nil {
				return err
			}
		}
		if len(log.keys) > 0 || !f.withKeys {
			return nil
		}
		return log.ownKeys(ctx, p)
	})
	return log, err
}

func (l *auditLog) findDir(p *place) (err error) {
	of := caddymodule.Audit{}
	if p.App != nil {
		of = p.App.Audit
	}
	if of.Off {
		return fmt.Errorf("%s has no audit log because it sets audit off: give the directory of an earlier log with --dir", p.file)
	}
	if l.dir, err = of.Path(); err != nil {
		return err
	}
	return p.named("the audit log", of.Dir, l.dir, "name the directory with --dir "+l.dir)
}

// readKeys reads key sets from files.
func (l *auditLog) readKeys(files []string) error {
	for _, file := range files {
		set, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return fmt.Errorf("--keys: %w", err)
		}
		l.keys = append(l.keys, set)
	}
	l.keysOf = strings.Join(files, ", ")
	return nil
}

// ownKeys reads the gateway's keys, if any. It never makes one, even if the next is due: its file would belong to the user
// who ran the command.
func (l *auditLog) ownKeys(ctx caddy.Context, p *place) error {
	storage, err := p.storage(ctx)
	if err != nil || storage == nil || !storage.Exists(ctx, caddymodule.OwnKeysName) {
		return err
	}
	ring := jwks.NewRing(onlyRead{storage}, jwks.RingOptions{Name: caddymodule.OwnKeysName, Logger: slog.New(slog.DiscardHandler)})
	set, err := ring.PublicSet(ctx)
	if err != nil {
		return mayNot(err)
	}
	l.keys = [][]byte{set}
	l.keysOf = caddymodule.OwnKeysName + " in " + storageName(storage)
	return nil
}

func storageName(storage certmagic.Storage) string {
	if files, is := storage.(*certmagic.FileStorage); is {
		return files.Path
	}
	return "the configuration's storage"
}

// onlyRead is a read-only vault.
type onlyRead struct{ certmagic.Storage }

var errOnlyRead = errors.New("this command changes nothing in the gateway's storage")

// Save implements the vault of a ring.
func (onlyRead) Save(context.Context, string, []byte) error { return errOnlyRead }

// Lock implements the vault of a ring.
func (onlyRead) Lock(context.Context, string) error { return errOnlyRead }
