package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/badger"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

func init() {
	caddy.RegisterModule(Badger{})
	caddy.RegisterModule(Memory{})
}

// Engine is the interface of modules in the namespace countersign.stores. Two configurations with the same Identity share
// one open store, whatever else differs. An engine that several gateways can use at once also has a method Shared() bool
// that returns true.
type Engine interface {
	Identity() string
	Open(ctx context.Context) (store.Store, error)
}

const engines = "countersign.stores" // the namespace

// knownEngine refuses an engine that is not in this build, and names the ones that are.
func knownEngine(d *caddyfile.Dispenser, engine string) error {
	var known []string
	for _, info := range caddy.GetModules(engines) {
		if info.ID.Name() == engine {
			return nil
		}
		known = append(known, info.ID.Name())
	}
	return d.Err(noEngine(engine, known))
}

// noEngine returns the error for an unknown engine: what the build has, and how to add what it lacks.
func noEngine(asked string, known []string) string {
	said := fmt.Sprintf("this build has no store %s: it has %s", asked, strings.Join(known, ", "))
	if slices.Contains(known, "postgres") {
		return said
	}
	return said + "; to add postgres, build with --with github.com/seed-dd2befc3/countersign/caddymodule/postgres"
}

// Badger is the embedded store. It has its own directory, which one process at a time can open.
type Badger struct {
	// Path is the store's directory. Default: countersign/store under Caddy's data directory.
	Path string `json:"path,omitempty"`

	logger *slog.Logger
}

// CaddyModule returns the module's name for Caddy.
func (Badger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.stores.badger", New: func() caddy.Module { return new(Badger) }}
}

// Provision resolves the directory without touching it.
func (b *Badger) Provision(ctx caddy.Context) error {
	b.logger = ctx.Slogger()
	path, err := caddy.NewReplacer().ReplaceOrErr(b.Path, true, true)
	if err != nil {
		return fmt.Errorf("store badger: path: %w", err)
	}
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "countersign", "store")
	}
	b.Path, err = filepath.Abs(path)
	return err
}

// Identity is the directory, because it can be opened only once.
func (b *Badger) Identity() string { return "badger " + filepath.Clean(b.Path) }

// Open opens the directory.
func (b *Badger) Open(ctx context.Context) (store.Store, error) {
	if err := needDir("store badger", b.Path); err != nil {
		return nil, err
	}
	return badger.Open(ctx, badger.Options{Dir: b.Path, Now: clock(), Logger: b.logger})
}

// UnmarshalCaddyfile reads:
//
//	store badger [<path>]
func (b *Badger) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		b.Path = d.Val()
	}
	return parse.NoMore(d)
}

// Memory is a store for tests and trials. It loses everything when the process ends.
type Memory struct{}

// CaddyModule returns the module's name for Caddy.
func (Memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.stores.memory", New: func() caddy.Module { return new(Memory) }}
}

// Risks says that production refuses it.
func (*Memory) Risks() []Risk { return []Risk{{RuleStoreMemory, "store memory"}} }

// Identity is constant, because a process has one memory store.
func (*Memory) Identity() string { return "memory" }

// Open makes an empty store.
func (*Memory) Open(context.Context) (store.Store, error) {
	return memory.New(memory.Options{Now: clock()}), nil
}

// UnmarshalCaddyfile reads:
//
//	store memory
func (*Memory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	return parse.NoMore(d)
}

// Interface guards.
var (
	_ Engine                = (*Badger)(nil)
	_ caddy.Provisioner     = (*Badger)(nil)
	_ caddyfile.Unmarshaler = (*Badger)(nil)
	_ Engine                = (*Memory)(nil)
	_ caddyfile.Unmarshaler = (*Memory)(nil)
)
