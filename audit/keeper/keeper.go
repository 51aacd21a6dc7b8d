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

// Settings come from a configuration. Those of the latest one apply.
type Settings struct {
	Signer audit.Signer
	Store  store.Store
	Shared bool          // other gateways use the store too, each with its own log
	Node   string        // the log's name; empty: unchanged
	Keep   time.Duration // how long files are kept; zero: for ever
	Logger *slog.Logger
}

// Keeper keeps one log open for as long as any configuration uses it.
type Keeper struct {
	log *audit.Log
	now func() time.Time

	wake   chan struct{}
	life   context.Context
	cancel context.CancelFunc
	loop   sync.WaitGroup

	working    sync.Mutex // serialises the work with the store; guards the next two
	away       bool       // the store does not answer, and that was logged
	remembered string     // hash of the head that this process stored last

	mu        sync.Mutex // guards everything below
	settings  []used     // the last one applies, and the very last one stays
	unused    bool       // the very last one was dropped as well
	missing   []Missing
	nodes     []*Node
	asked     error             // why the store could not be read
	handing   map[string]Handed // by node, what was handed outside since the last round
	retention Retention
}

type used struct {
	owner any
	Settings
}

const (
	every       = time.Minute // time between rounds, besides those after heads
	roundWithin = 30 * time.Second
)

// Open opens the log and stores its heads from then on. Node, Signer and Logger of the options come from the settings.
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

// Use makes a configuration's settings the current ones, unless it was called with them before.
func (k *Keeper) Use(owner any, s Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unused = false
	if slices.ContainsFunc(k.settings, func(u used) bool { return u.owner == owner }) {
		return
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	k.settings = append(k.settings, used{owner, s})
}

// Drop removes a configuration's settings, and the previous ones apply again. The last ones stay, for the last head; their
// store is about to close, so only Settle uses it from then on.
func (k *Keeper) Drop(owner any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.settings) > 1 {
		k.settings = slices.DeleteFunc(k.settings, func(u used) bool { return u.owner == owner })
		return
	}
	k.unused = k.unused || k.settings[0].owner == owner
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

// Append appends an entry; see audit.Log.
func (k *Keeper) Append(ctx context.Context, kind string, data any) (audit.Position, error) {
	return k.log.Append(ctx, kind, data)
}

// Health returns the state of the log; see audit.Log.
func (k *Keeper) Health() audit.Health { return k.log.Health() }

// Status is the state of the logs.
type Status struct {
	audit.Health
	Dir     string
	Missing []Missing // logs that are not as remembered: this node's, and those of silent nodes
	Nodes   []*Node   // all records in the store
	Error   string    // why the store could not be read the last time
	Retention
}

// Status returns the state of the log, and what the store remembers of it and of others.
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

// Settle signs the last head and stores it, before a store is closed.
func (k *Keeper) Settle(ctx context.Context, in store.Store) {
	if k.log.Sign(ctx) == nil {
		k.working.Lock()
		defer k.working.Unlock()
		k.round(ctx, in)
	}
}

// Close ends the work with the store and closes the log.
func (k *Keeper) Close() error {
	k.cancel()
	k.loop.Wait()
	return k.log.Close()
}

// signal announces a new head.
func (k *Keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default: // it is already signalled
	}
}

// run does a round after each head and every minute.
func (k *Keeper) run() {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for k.life.Err() == nil {
		ctx, cancel := context.WithTimeout(k.life, roundWithin)
		k.roundIfUsed(ctx)
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
