package webhook

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Observer is told of each attempt, for metrics. It must not block.
type Observer interface {
	Attempted(client, outcome string, took time.Duration)
}

// Options are what a Dispatcher needs for all of its life. Only Store is mandatory.
type Options struct {
	Store    store.Store
	Observer Observer
	Now      func() time.Time
	Random   func() float64 // from 0 to 1, for the waits
	Watch    time.Duration  // how often it counts what waits; default 15 seconds
}

// Dispatcher delivers what is due in a store. There is one for an open store, whatever configurations come and go:
// they say by Use and Drop what holds at present, and while there is none, nothing is claimed.
type Dispatcher struct {
	Options
	life     context.Context // of attempts
	cancel   context.CancelFunc
	claiming context.Context // until then more is claimed
	stop     context.CancelFunc
	wake     chan struct{}
	loops    sync.WaitGroup
	work     sync.WaitGroup

	mu       sync.Mutex // guards all below
	settings []used     // the last one holds
	lanes    map[string]*lane
	busy     int  // attempts under way
	silent   bool // the store does not answer, and that was said
	stats    Stats
	logger   *slog.Logger // of the latest configuration
}

type used struct {
	owner    any
	settings *Settings
}

// lane is what the dispatcher knows of one client's queue.
type lane struct {
	busy    int
	failing bool      // the last attempt failed: one at a time, until one succeeds
	look    time.Time // when to claim next
	retry   time.Time // when the soonest known delivery is due again; zero: none is known
}

// settleWithin bounds a commit of an attempt's outcome.
const settleWithin = 10 * time.Second

// New starts a dispatcher. It claims nothing before the first Use.
func New(options Options) *Dispatcher {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Random == nil {
		options.Random = rand.Float64
	}
	if options.Watch <= 0 {
		options.Watch = 15 * time.Second
	}
	d := &Dispatcher{
		Options: options, wake: make(chan struct{}, 1), lanes: map[string]*lane{}, logger: slog.New(slog.DiscardHandler),
	}
	d.life, d.cancel = context.WithCancel(context.Background())
	d.claiming, d.stop = context.WithCancel(d.life)
	d.loops.Go(d.run)
	d.loops.Go(d.watch)
	return d
}

// Use makes a configuration's settings the present ones. The owner is what Drop names them by.
func (d *Dispatcher) Use(owner any, settings Settings) {
	d.mu.Lock()
	defer d.mu.Unlock()
	complete := settings.complete()
	d.settings = append(d.settings, used{owner, complete})
	d.logger = complete.Logger
	for client := range complete.Addresses {
		d.lane(client).look = time.Time{}
	}
	d.signal()
}

// Drop takes a configuration's settings away, if they are there; those before it hold again. What is under way goes on.
func (d *Dispatcher) Drop(owner any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.settings {
		if d.settings[i].owner == owner {
			d.settings = append(d.settings[:i:i], d.settings[i+1:]...)
			return
		}
	}
}

// Wake says that something is due for a client now.
func (d *Dispatcher) Wake(client string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lane(client).look = time.Time{}
	d.signal()
}

// Close claims nothing more and waits for the attempts under way. When ctx ends first they are broken off, and due again
// at once for whoever comes next.
func (d *Dispatcher) Close(ctx context.Context) {
	d.stop()
	d.loops.Wait()
	keep := context.AfterFunc(ctx, d.cancel)
	defer keep()
	defer d.cancel()
	d.work.Wait()
}

// lane finds a client's lane. The caller holds d.mu.
func (d *Dispatcher) lane(client string) *lane {
	l := d.lanes[client]
	if l == nil {
		l = &lane{}
		d.lanes[client] = l
	}
	return l
}

func (d *Dispatcher) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // it is awake
	}
}

// present is what the latest configuration says, or nil.
func (d *Dispatcher) present() *Settings {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.settings) == 0 {
		return nil
	}
	return d.settings[len(d.settings)-1].settings
}

// run claims what is due until the end.
func (d *Dispatcher) run() {
	for d.claiming.Err() == nil {
		timer := time.NewTimer(d.round(d.claiming))
		select {
		case <-d.claiming.Done():
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round claims once for each client whose time has come and who has room, and says how long to rest.
func (d *Dispatcher) round(ctx context.Context) time.Duration {
	settings := d.present()
	if settings == nil {
		return time.Hour // Use wakes it
	}
	rest := settings.Poll
	for client, room := range d.ready(settings) {
		if ctx.Err() != nil {
			return 0
		}
		d.claim(ctx, settings, client, room)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.Now()
	for _, l := range d.lanes {
		if d.room(settings, l) > 0 {
			rest = min(rest, max(l.next().Sub(now), 0))
		}
	}
	return rest
}

// next is when there may be something to claim.
func (l *lane) next() time.Time {
	if !l.retry.IsZero() && l.retry.Before(l.look) {
		return l.retry
	}
	return l.look
}

// ready are the clients to claim for now, each with how many attempts there is room for.
func (d *Dispatcher) ready(settings *Settings) map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.Now()
	ready := map[string]int{}
	for client, l := range d.lanes {
		if room := d.room(settings, l); room > 0 && !l.next().After(now) {
			ready[client] = room
		}
	}
	return ready
}

// room is how many more attempts a client may have. The caller holds d.mu.
func (d *Dispatcher) room(settings *Settings, l *lane) int {
	most := settings.PerClient
	if l.failing {
		most = 1
	}
	return min(most-l.busy, settings.Total-d.busy)
}

// claim takes what is due for a client, as much as there is room for, and starts to deliver it.
func (d *Dispatcher) claim(ctx context.Context, settings *Settings, client string, room int) {
	d.mu.Lock()
	l := d.lane(client)
	if room = min(room, d.room(settings, l)); room <= 0 { // others of this round have filled it
		d.mu.Unlock()
		return
	}
	if !l.retry.After(d.Now()) {
		l.retry = time.Time{}
	}
	l.look = d.Now().Add(settings.Poll) // unless something is found, or someone wakes it meanwhile
	d.mu.Unlock()
	claimed, err := d.Store.Claim(ctx, queueOf(client), room, settings.lease())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noteStore(ctx, err)
	if len(claimed) > 0 {
		l.look = time.Time{} // only an empty answer says that nothing is due
	}
	for i := range claimed {
		l.busy++
		d.busy++
		d.work.Go(func() { //nolint:contextcheck // an attempt outlives the claim: it ends with the dispatcher
			d.done(client, d.handle(settings, &claimed[i]))
		})
	}
}

// done makes room for the next attempt.
func (d *Dispatcher) done(client string, how result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lane(client)
	l.busy--
	d.busy--
	if how.tried {
		l.failing = how.failed
	}
	if !how.retry.IsZero() && (l.retry.IsZero() || how.retry.Before(l.retry)) {
		l.retry = how.retry
	}
	d.signal()
}

// noteStore logs once when the store goes away and once when it is back. The caller holds d.mu.
func (d *Dispatcher) noteStore(ctx context.Context, err error) {
	if errors.Is(err, context.Canceled) || (err != nil) == d.silent {
		return
	}
	d.silent = err != nil
	if err != nil {
		d.logger.LogAttrs(ctx, slog.LevelWarn, "webhooks wait for the store", slog.String("error", err.Error()))
		return
	}
	d.logger.LogAttrs(ctx, slog.LevelInfo, "webhooks go on, the store answers again")
}
