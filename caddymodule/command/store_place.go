package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/store/badger"
)

// whichStore tells in the help of a command which store it works on.
const whichStore = `
The store is that of the configuration (--config). Where it names no directory, that depends on the gateway's
environment: a systemd unit that runs with this configuration is found, and its environment counts; without one,
XDG_DATA_HOME must be set as it is for the gateway. A directory that follows from nothing but the HOME of whoever calls
is refused; --dir names one in spite of that. Run the command as root or as the user whom the gateway runs as: what
root makes is given to that user.
`

// storeFlags say which store a command works on.
type storeFlags struct {
	*placeFlags
	dir string
}

func addStoreFlags(cmd *cobra.Command) *storeFlags {
	f := &storeFlags{placeFlags: addPlaceFlags(cmd)}
	cmd.Flags().StringVar(&f.dir, "dir", "", "`directory` of an embedded store, in the place of a configuration")
	for _, other := range []string{"config", "adapter", "unit"} {
		cmd.MarkFlagsMutuallyExclusive("dir", other)
	}
	return f
}

// withEngine hands a store's engine, not opened, to a function. What that makes belongs to the gateway's user
// afterwards, also where it failed.
func (f *storeFlags) withEngine(ctx context.Context, use func(context.Context, caddymodule.Engine) error) error {
	return f.find(ctx, func(ctx context.Context, engine caddymodule.Engine, p *place) error {
		return owned(engine, p, func() error { return use(ctx, engine) })
	})
}

// find finds the engine, and its place where that is known.
func (f *storeFlags) find(ctx context.Context, use func(context.Context, caddymodule.Engine, *place) error) error {
	if f.dir != "" {
		inCaddy, cancel := caddy.NewContext(caddy.Context{Context: ctx})
		defer cancel()
		engine := &caddymodule.Badger{Path: f.dir}
		if err := engine.Provision(inCaddy); err != nil {
			return err
		}
		return use(ctx, engine, nil)
	}
	return f.within(ctx, func(ctx caddy.Context, p *place) error { //nolint:contextcheck // Caddy's context is made of it
		switch {
		case p.file == "":
			return errors.New("no configuration names a store: name the gateway's with --config, its systemd unit with --unit, or the store's directory with --dir")
		case p.App == nil:
			return fmt.Errorf("%s has no global option countersign; name a configuration that has with --config", p.file)
		}
		configured, err := configuredPath(p.App.StoreRaw)
		if err != nil {
			return err
		}
		engine, err := p.App.ProvisionStore(ctx)
		if err != nil {
			return err
		}
		if embedded, is := engine.(*caddymodule.Badger); is {
			if err := p.named("the store", configured, embedded.Path, "name the directory with --dir "+embedded.Path); err != nil {
				return err
			}
		}
		return use(ctx, engine, p)
	})
}

// configuredPath is the path that a configuration gives the embedded store, as it is written; empty for the default.
func configuredPath(store json.RawMessage) (string, error) {
	var of struct {
		Path string `json:"path"`
	}
	if store == nil {
		return "", nil
	}
	err := json.Unmarshal(store, &of)
	return of.Path, err
}

// owned uses an engine, and sees to whose files it makes.
func owned(engine caddymodule.Engine, p *place, use func() error) error {
	embedded, is := engine.(*caddymodule.Badger)
	if !is {
		return use()
	}
	files, err := ownershipOf(filepath.Clean(embedded.Path), p)
	if err != nil {
		return err
	}
	err = mayNot(use())
	if err := files.settle(); err != nil {
		return fmt.Errorf("giving %s to the gateway's user (%d): %w", embedded.Path, files.owner.uid, err)
	}
	return err
}

// withBadger is withEngine for an embedded store that is there.
func (f *storeFlags) withBadger(ctx context.Context, use func(context.Context, *caddymodule.Badger) error) error {
	return f.find(ctx, func(ctx context.Context, engine caddymodule.Engine, p *place) error {
		embedded, is := engine.(*caddymodule.Badger)
		if !is {
			return errors.New("the configuration's store is not the embedded one (badger): check it with the means of its own")
		}
		if there, err := badger.Exists(embedded.Path); err != nil {
			return mayNot(err)
		} else if !there { // to open it would make one
			return fmt.Errorf("there is no store in %s: name the gateway's configuration (--config) or its directory (--dir)", embedded.Path)
		}
		return owned(engine, p, func() error { return use(ctx, embedded) })
	})
}
