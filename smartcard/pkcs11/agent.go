package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// Options say which module and which cards to use, and where PINs come from.
type Options struct {
	// Module is the absolute path of the vendor's shared library. Mandatory.
	Module string

	// Child is the command line of a process that calls child.Main; the module's path is appended. Mandatory.
	Child []string

	// Env is the child's complete environment; see Environ.
	Env []string

	// Tokens are the labels or serial numbers of the cards that may sign. Default: every card.
	Tokens []string

	// PIN is the source of PINs. Without one, only cards sign that need no PIN or whose reader has a PIN pad.
	PIN pin.Source

	// PINTimeout bounds the wait for a PIN. Default: 50 seconds, a little less than a gateway waits for its first
	// line.
	PINTimeout time.Duration

	// CallTimeout bounds each call into the module, such as one signature. Default: 15 seconds.
	CallTimeout time.Duration

	// StartTimeout bounds loading the module. Default: 15 seconds.
	StartTimeout time.Duration

	// Logger receives events of the child processes; never users, card names, PINs or payloads. Default: nothing is
	// logged.
	Logger *slog.Logger

	// Now is the clock for the validity of certificates. Default: time.Now.
	Now func() time.Time
}

// Agent is a smartcard.Signer for the cards of one module. It is safe for concurrent use: cards sign concurrently,
// each for one job at a time.
type Agent struct {
	o        Options
	children children

	mu   sync.Mutex
	busy map[string]chan struct{} // by card: held by the job it signs for
	last []Reader                 // what the latest job or health check found in the readers
	why  error                    // why the module could not be loaded or called at the last attempt
	of   stamp                    // the module's file at that attempt
	jobs int                      // under way
}

var (
	_ smartcard.Signer = (*Agent)(nil)
	_ smartcard.Holder = (*Agent)(nil)
)

// New checks the options. It starts nothing: the first job or health check does.
func New(o Options) (*Agent, error) {
	switch {
	case !filepath.IsAbs(o.Module):
		return nil, fmt.Errorf("PKCS#11 agent: module %q must be the absolute path of the vendor's library", o.Module)
	case len(o.Child) == 0:
		return nil, errors.New("PKCS#11 agent: no command line for the child process")
	case o.PINTimeout < 0 || o.CallTimeout < 0 || o.StartTimeout < 0:
		return nil, errors.New("PKCS#11 agent: timeouts must not be negative")
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&o.PINTimeout, 50 * time.Second}, {&o.CallTimeout, 15 * time.Second}, {&o.StartTimeout, 15 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Agent{
		o: o,
		children: children{
			command: command{args: append(slices.Clone(o.Child), o.Module), env: o.Env, start: o.StartTimeout, perCall: o.CallTimeout},
			log:     o.Logger,
		},
		busy: map[string]chan struct{}{},
	}, nil
}

// Close ends the idle child process. Jobs under way complete; their children end with them.
func (a *Agent) Close() { a.children.close() }

// Readers lists the readers with the cards the agent may use, and says which could sign for whom.
func (a *Agent) Readers(ctx context.Context) ([]Reader, error) {
	of := stampOf(a.o.Module)
	found, err := a.readers(ctx)
	if err != nil && ctx.Err() != nil {
		return found, err // who asked has gone, which says nothing of the module
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.why, a.of = err, of
	return found, err
}

func (a *Agent) readers(ctx context.Context) ([]Reader, error) {
	child, _, err := a.children.borrow(ctx)
	if err != nil {
		return nil, err
	}
	found, err := a.look(child)
	if err != nil {
		child.kill()
		return nil, err
	}
	a.children.giveBack(child)
	return found, nil
}

// Trouble returns why the module cannot be used, as far as is known without loading it: its file is missing or not a
// library, or the last attempt to load or call it failed. nil: no problem is known.
func (a *Agent) Trouble() error {
	if err := checkModule(a.o.Module); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of != stampOf(a.o.Module) { // it was installed or exchanged since
		return nil
	}
	return a.why
}

// About returns the module's description of itself.
func (a *Agent) About(ctx context.Context) (string, error) {
	child, _, err := a.children.borrow(ctx)
	if err != nil {
		return "", err
	}
	defer a.children.giveBack(child)
	return child.module, nil
}

// Health reports whether a card that could sign is present. During a job it starts no second child but reports what
// was seen last.
func (a *Agent) Health(ctx context.Context) (smartcard.Health, error) {
	a.mu.Lock()
	found, working := a.last, a.jobs > 0
	a.mu.Unlock()
	if !working || found == nil {
		var err error
		if found, err = a.Readers(ctx); err != nil {
			a.o.Logger.WarnContext(ctx, "PKCS#11 module not ready", "error", err)
			return smartcard.Health{Card: "absent"}, nil
		}
	}
	health := smartcard.Health{Ready: true, Card: "absent"}
	able := 0
	for _, r := range found {
		if r.Card == nil {
			continue
		}
		health.Card = "present"
		for _, c := range r.Card.Certificates {
			if len(r.Card.Against)+len(c.Against) == 0 {
				health.Subject = c.Subject
				able++
			}
		}
	}
	if able > 1 {
		health.Subject = fmt.Sprintf("%d certificates", able)
	}
	health.Ready = able > 0
	return health, nil
}

// Holder implements smartcard.Holder: the only person whose card is in a reader and could sign.
func (a *Agent) Holder(ctx context.Context) (string, error) {
	found, err := a.Readers(ctx)
	if err != nil {
		return "", &smartcard.Error{Code: smartcard.CodeUnreachable, Message: "The card reader's software does not work"}
	}
	holder := ""
	for _, r := range found {
		if r.Card == nil || len(r.Card.Against) > 0 {
			continue
		}
		for _, c := range r.Card.Certificates {
			switch {
			case len(c.Against) > 0:
			case holder != "" && holder != c.User:
				return "", &smartcard.Error{Code: smartcard.CodeRefused, Message: "The readers hold cards of several people: leave only yours"}
			default:
				holder = c.User
			}
		}
	}
	if holder == "" {
		return "", &smartcard.Error{Code: smartcard.CodeNoCard, Message: "No reader holds a card that can sign"}
	}
	return holder, nil
}

// look lists the readers' cards through a child. Cards the agent may not use are left out.
func (a *Agent) look(child *process) ([]Reader, error) {
	request, err := pipe.New(pipe.List, nil, nil)
	if err != nil {
		return nil, err
	}
	var listing pipe.Listing
	if err := child.call(a.o.CallTimeout, request, pipe.Cards, &listing); err != nil {
		return nil, err
	}
	found := readers(listing, a.o.Now())
	for i := range found {
		if card := found[i].Card; card != nil && !a.mayUse(card) {
			found[i].Card = nil
		}
	}
	a.mu.Lock()
	a.last = found
	a.mu.Unlock()
	return found, nil
}

func (a *Agent) mayUse(card *Card) bool {
	return len(a.o.Tokens) == 0 || slices.Contains(a.o.Tokens, card.Label) || slices.Contains(a.o.Tokens, card.Serial)
}
