package keeper

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/store"
)

// Settings are what a configuration says. Those of the latest one hold.
type Settings struct {
	Signer audit.Signer
	Store  store.Store
	Shared bool          // other gateways use the store as well, and have logs of their own
	Node   string        // the log's name; empty: it keeps the one that it has
	Keep   time.Duration // how long files are kept; zero: for ever
	Logger *slog.Logger
}

// Keeper has one log open, for as long as any configuration uses it.
type Keeper struct {
	log *audit.Log
	now func() time.Time

	wake   chan struct{}
	life   context.Context
	cancel context.CancelFunc
	loop   sync.WaitGroup

	working    sync.Mutex // what is done with the store is done one after the other; guards the next two
	away       bool       // the store does not answer, and that was said
	remembered string     // the hash of the head that this process had remembered last

	mu        sync.Mutex // guards all below
	settings  []used     // the last one holds, and the very last stays
	missing   []Missing
	nodes     []*Node
	asked     error             // why the store could not be asked
	handing   map[string]Handed // by node, what was handed outside since the last round
	retention Retention
}

type used struct {
	owner any
	Settings
}

const (
	every       = time.Minute // how often it looks, beside after each head
	roundWithin = 30 * time.Second
)

// Open opens the log, and remembers its heads from then on. Node, Signer and Logger of the options are those of the settings.
func Open(o audit.Options, owner any, s Settings) (*Keeper, error) {
	k := &Keeper{wake: make(chan struct{}, 1), now: o.Now, handing: map[string]Handed{}}
	if k.now == nil {
		k.now = time.Now
	}
	k.life, k.cancel = context.WithCancel(context.Background())
	k.Use(owner, s)
	o.Node, o.Signer, o.Logger, o.OnHead = s.Node, k, s.Logger, k.signal
	var err error
	if k.log, err = audit.Open(o); err != nil {
		k.cancel()
		return nil, err
	}
	k.loop.Go(k.run)
	return k, nil
}

// Use makes a configuration's settings the present ones, unless it has done so already.
func (k *Keeper) Use(owner any, s Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.ContainsFunc(k.settings, func(u used) bool { return u.owner == owner }) {
		return
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	k.settings = append(k.settings, used{owner, s})
}

// Drop takes a configuration's settings away; those before it hold again. The last ones stay, for the last head.
func (k *Keeper) Drop(owner any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.settings) > 1 {
		k.settings = slices.DeleteFunc(k.settings, func(u used) bool { return u.owner == owner })
	}
}

func (k *Keeper) present() Settings {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.settings[len(k.settings)-1].Settings
}

// SignAll implements audit.Signer.
func (k *Keeper) SignAll(ctx context.Context, message []byte) ([]audit.Signature, error) {
	return k.present().Signer.SignAll(ctx, message)
}

// PublicSet implements audit.Signer.
func (k *Keeper) PublicSet(ctx context.Context) ([]byte, error) {
	return k.present().Signer.PublicSet(ctx)
}

// Append writes an entry; see audit.Log.
func (k *Keeper) Append(ctx context.Context, kind string, data any) (audit.Position, error) {
	return k.log.Append(ctx, kind, data)
}

// Health is how the log stands; see audit.Log.
func (k *Keeper) Health() audit.Health { return k.log.Health() }

// Status is what is known of the logs.
type Status struct {
	audit.Health
	Dir     string
	Missing []Missing // logs that are not as remembered: this node's, and those of nodes that are not heard of
	Nodes   []*Node   // everything that is remembered
	Error   string    // why the store could not be asked last
	Retention
}

// Status is how the log stands, and what the store remembers of it and of others.
func (k *Keeper) Status() Status {
	health := k.log.Health()
	k.mu.Lock()
	defer k.mu.Unlock()
	found := Status{Health: health, Dir: k.log.Dir, Missing: slices.Clone(k.missing), Nodes: slices.Clone(k.nodes), Retention: k.retention}
	if k.asked != nil {
		found.Error = k.asked.Error()
	}
	return found
}

// Settle signs the last head and has it remembered, before a store is closed.
func (k *Keeper) Settle(ctx context.Context, in store.Store) {
	if k.log.Sign(ctx) == nil {
		k.round(ctx, in)
	}
}

// Close ends what is done with the store, and closes the log.
func (k *Keeper) Close() error {
	k.cancel()
	k.loop.Wait()
	return k.log.Close()
}

// signal says that there is a new head.
func (k *Keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default: // it is awake
	}
}

// run does a round after each head, and every minute.
func (k *Keeper) run() {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for k.life.Err() == nil {
		ctx, cancel := context.WithTimeout(k.life, roundWithin)
		k.round(ctx, k.present().Store)
		cancel()
		select {
		case <-k.life.Done():
		case <-k.wake:
		case <-tick.C:
		}
	}
}

// Interface guards.
var _ audit.Signer = (*Keeper)(nil)
