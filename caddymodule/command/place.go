package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/certmagic"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/command/systemd"
)

// packaged is the name of the unit in packaging/.
const packaged = "countersign.service"

// placeFlags say whose files a command is to work on: the configuration of a gateway, and the unit that runs it.
type placeFlags struct{ file, adapter, unit string }

func addPlaceFlags(cmd *cobra.Command) *placeFlags {
	f := &placeFlags{}
	flags := cmd.Flags()
	flags.StringVar(&f.file, "config", "", "`file` with the configuration; default: Caddyfile in this directory, or else that of the unit")
	flags.StringVar(&f.adapter, "adapter", "", "config `adapter`, where it is neither a Caddyfile nor JSON")
	flags.StringVar(&f.unit, "unit", "", "systemd `unit` that runs the gateway; default: the one that names the configuration")
	return f
}

// place is where a gateway keeps its files, as its configuration says and the environment that it runs in.
type place struct {
	file    string        // with the configuration; empty: there is none
	runBy   *systemd.Unit // nil: none that is known
	data    string        // Caddy's data directory
	bySetup bool          // the data directory follows from how the gateway is started, not from who calls the command

	App     *caddymodule.App
	Storage json.RawMessage
}

// within reads the configuration and hands it on. What the function makes of it, it makes in the environment and the
// working directory of the gateway, where they are known.
func (f *placeFlags) within(ctx context.Context, use func(caddy.Context, *place) error) error {
	unit, err := f.findUnit()
	if err != nil {
		return err
	}
	started := how{file: f.file, adapter: f.adapter}
	if unit != nil {
		if started, err = f.startedBy(unit); err != nil {
			return err
		}
		back, err := started.enter()
		if err != nil {
			return err
		}
		defer back()
	}
	p := &place{file: started.file, runBy: unit, data: caddy.AppDataDir(), bySetup: unit != nil || os.Getenv("XDG_DATA_HOME") != ""}
	if err := p.read(started.adapter); err != nil {
		return err
	}
	inCaddy, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	defer cancel()
	return use(inCaddy, p)
}

func (p *place) read(adapter string) error {
	text, file, _, err := caddycmd.LoadConfig(p.file, adapter)
	if err != nil {
		return err
	}
	if p.file = file; file == "" {
		return nil
	}
	var config struct {
		Storage json.RawMessage `json:"storage"`
		Apps    struct {
			Countersign *caddymodule.App `json:"countersign"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	p.App, p.Storage = config.Apps.Countersign, config.Storage
	return nil
}

// findUnit is the unit that was named, or that runs a gateway with the configuration that was named. Without both, the
// Caddyfile of this directory counts as named, and where there is none the packaged unit.
func (f *placeFlags) findUnit() (*systemd.Unit, error) {
	dirs := systemd.Directories()
	if f.unit != "" {
		return systemd.Load(f.unit, dirs)
	}
	file := f.file
	if file == "" {
		if _, err := os.Stat("Caddyfile"); errors.Is(err, fs.ErrNotExist) {
			unit, err := systemd.Load(packaged, dirs)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return unit, err
		}
		file = "Caddyfile"
	}
	return unitOf(file, dirs)
}

// unitOf is the one service that runs with a configuration; nil where there is none. Units of others that cannot be
// understood are passed over.
func unitOf(file string, dirs []string) (*systemd.Unit, error) {
	wanted, err := os.Stat(file)
	if err != nil {
		return nil, nil // it is told where it is read
	}
	var found *systemd.Unit
	for _, name := range systemd.Services(dirs) {
		unit, err := systemd.Load(name, dirs)
		if err != nil {
			continue
		}
		started, err := howOf(unit)
		if err != nil || started.file == "" {
			continue
		}
		if its, err := os.Stat(started.file); err != nil || !os.SameFile(its, wanted) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s and %s both run with %s: name the one that is meant with --unit", found.Name, unit.Name, file)
		}
		found = unit
	}
	return found, nil
}

// named refuses a path that stands nowhere but in the surroundings of whoever calls the command. configured is what
// the configuration says, or a flag; without it the path is a default below the data directory.
func (p *place) named(what, configured, path, advice string) error {
	configured = caddy.NewReplacer().ReplaceKnown(configured, "")
	if p.runBy != nil || filepath.IsAbs(configured) || configured == "" && p.bySetup {
		return nil
	}
	why := "this user's HOME leads to " + path + ", which may be another than the gateway's"
	if configured != "" {
		why = "the path " + configured + " depends on where the gateway is started"
	}
	said := fmt.Sprintf("no configuration names the directory of %s: %s. Name the service that runs the gateway with --unit, "+
		"or set XDG_DATA_HOME as it is for the gateway, or %s", what, why, advice)
	if unit, err := systemd.Load(packaged, systemd.Directories()); err == nil {
		if started, err := howOf(unit); err == nil && started.file != "" {
			said += fmt.Sprintf(". %s is installed here and runs with %s", unit.Name, started.file)
		}
	}
	return errors.New(said)
}

// storage is Caddy's storage as the configuration has it, or the default one; nil where nothing says which directory
// that is.
func (p *place) storage(ctx caddy.Context) (certmagic.Storage, error) {
	if p.Storage == nil {
		if !p.bySetup {
			return nil, nil
		}
		return &certmagic.FileStorage{Path: p.data}, nil
	}
	var config = struct {
		Raw json.RawMessage `json:"storage" caddy:"namespace=caddy.storage inline_key=module"`
	}{p.Storage}
	loaded, err := ctx.LoadModule(&config, "Raw")
	if err != nil {
		return nil, fmt.Errorf("the configuration's storage: %w", err)
	}
	return loaded.(caddy.StorageConverter).CertMagicStorage()
}
