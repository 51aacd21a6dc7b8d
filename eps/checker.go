package eps

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/prescription"
)

// Outcomes of a $prepare that passed by.
const (
	OutcomeKept       = "kept"
	OutcomeDifferent  = "different"  // the digest is not that of the bundle, as far as we can tell
	OutcomeUnreadable = "unreadable" // request or answer cannot be read
	OutcomeTooLarge   = "too_large"  // request or answer is over a limit, or did not pass whole
	OutcomeBusy       = "busy"       // more pass than can be checked
	OutcomeNotKept    = "not_kept"   // the Keeper did not take the display
)

// Outcomes returns all outcomes.
func Outcomes() []string {
	return []string{OutcomeKept, OutcomeDifferent, OutcomeUnreadable, OutcomeTooLarge, OutcomeBusy, OutcomeNotKept}
}

// Keeper keeps the fragments behind a payload for a client. It returns prescription.ErrDigest if they are not behind it.
type Keeper interface {
	Keep(ctx context.Context, client string, payload, fragments []byte) error
}

// CheckerOptions are what a Checker needs. Keeper is mandatory.
type CheckerOptions struct {
	Keeper  Keeper
	Observe func(outcome string) // is told of each $prepare; nil: nobody is

	Workers int   // default 2
	Queue   int   // $prepare answers that wait to be checked; default 1024
	Budget  int64 // bytes of all requests and answers that are held; default 64 MiB

	Now    func() time.Time
	Logger *slog.Logger
}

// keepWithin bounds the wait for the Keeper.
const keepWithin = 10 * time.Second

// Difference is a prescription of which EPS signs another digest than the one computed here. It says all that an
// operator may know of it.
type Difference struct {
	Time   time.Time
	Client string
	Type   string // prescription type code, such as 0101
	Items  int
}

// Checker computes the digests of prescriptions that passed by. Close ends it.
type Checker struct {
	CheckerOptions
	budget  budget
	queue   chan passage
	workers sync.WaitGroup
	cancel  context.CancelFunc

	mu     sync.Mutex
	closed bool
	first  *Difference
	differ int
}

// passage is a $prepare that passed by.
type passage struct {
	client          string
	request, answer body
}

func (p passage) size() int { return len(p.request.data) + len(p.answer.data) }

// NewChecker starts a Checker's workers.
func NewChecker(options CheckerOptions) *Checker {
	if options.Workers <= 0 {
		options.Workers = 2
	}
	if options.Queue <= 0 {
		options.Queue = 1024
	}
	if options.Budget <= 0 {
		options.Budget = 64 << 20
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Checker{CheckerOptions: options, budget: budget{most: options.Budget}, queue: make(chan passage, options.Queue)}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	for range options.Workers {
		c.workers.Go(func() { c.work(ctx) })
	}
	return c
}

// Close checks what is queued, for as long as the context lasts, and ends the workers.
func (c *Checker) Close(ctx context.Context) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	close(c.queue)
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, c.cancel)
	c.workers.Wait()
	stop()
	c.cancel()
}

// Differences returns the first difference and how many there were, or nil.
func (c *Checker) Differences() (first *Difference, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first, c.differ
}

func (c *Checker) work(ctx context.Context) {
	for passed := range c.queue {
		outcome := OutcomeNotKept
		if ctx.Err() == nil {
			outcome = c.check(ctx, passed)
		}
		c.budget.give(passed.size())
		c.tell(outcome)
	}
}

func (c *Checker) tell(outcome string) {
	if c.Observe != nil {
		c.Observe(outcome)
	}
}

// check computes the digest of a bundle, and has its fragments kept if it is the one that was answered.
func (c *Checker) check(ctx context.Context, passed passage) string {
	answer, err := passed.answer.decoded(maxAnswer)
	if err != nil {
		return c.unreadable(ctx, passed.client, err)
	}
	told, err := readPrepared(answer)
	if err != nil {
		return c.unreadable(ctx, passed.client, err)
	}
	request, err := passed.request.decoded(prescription.MaxBytes)
	if err != nil {
		return c.unreadable(ctx, passed.client, errors.New("the request cannot be unpacked"))
	}
	bundle, err := prescription.ReadBundle(request)
	if err != nil { // the error could quote the bundle
		return c.unreadable(ctx, passed.client, prescription.ErrUnreadable)
	}
	translated, refusal := prescription.Translate(bundle, told.at)
	if refusal != nil {
		return c.different(ctx, passed.client, bundle)
	}
	ctx, cancel := context.WithTimeout(ctx, keepWithin)
	defer cancel()
	switch err := c.Keeper.Keep(ctx, passed.client, told.payload, translated.Fragments()); {
	case errors.Is(err, prescription.ErrDigest):
		return c.different(ctx, passed.client, bundle)
	case err != nil:
		c.Logger.LogAttrs(ctx, slog.LevelWarn, "the display of a prescription is not kept",
			slog.String("client", passed.client), slog.String("error", err.Error()))
		return OutcomeNotKept
	}
	return OutcomeKept
}

func (c *Checker) unreadable(ctx context.Context, client string, err error) string {
	c.Logger.LogAttrs(ctx, slog.LevelInfo, "a prescription cannot be displayed",
		slog.String("client", client), slog.String("error", err.Error()))
	return OutcomeUnreadable
}

// different remembers the first prescription with another digest, and tells the log of each.
func (c *Checker) different(ctx context.Context, client string, bundle *prescription.Bundle) string {
	found := Difference{Time: c.Now().UTC(), Client: client, Type: bundle.PrescriptionType(), Items: bundle.Items()}
	c.mu.Lock()
	c.differ++
	if c.first == nil {
		c.first = &found
	}
	c.mu.Unlock()
	c.Logger.LogAttrs(ctx, slog.LevelWarn, "the digest of a prescription is not the one that is computed here, so it has no display",
		slog.String("client", client), slog.String("type", found.Type), slog.Int("items", found.Items))
	return OutcomeDifferent
}
