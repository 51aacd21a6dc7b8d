package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// concludeWithin bounds the attempts to keep the outcome of a run.
const concludeWithin = 20 * time.Second

// errLost ends a run whose session is no longer its own: the person cancelled, or its lease ran out.
var errLost = errors.New("the session is no longer this run's")

// job is one run of an agent over a session. It holds the session's lease and renews it for as long as the
// agent is at work, whether or not items arrive, since a person may be typing a PIN.
type job struct {
	service *Service
	session *session // as it was when the run began
	route   Route
	asked   context.Context // of the call that began the run: the trace it stands in

	audited *client.AuditEntry // the record of the release, once there is one

	mu    sync.Mutex
	index map[string]int // where an item's mark stands
	marks []byte
}

// routesFor are the ways to a card for a session, in the order in which they are tried: the mock for those that were
// opened for it and where there is nothing else, or else all that serve the user. A session that was opened for the
// mock never goes to a card, also where a changed configuration has no mock any more.
func (s *Service) routesFor(of *session) (routes []Route, mock bool) {
	if of.Mock || len(s.Agents) == 0 {
		if s.Mock == nil {
			return nil, false
		}
		return []Route{*s.Mock}, true
	}
	for _, route := range s.Agents {
		if route.serves(of.Sub) {
			routes = append(routes, route)
		}
	}
	return routes, false
}

// begin takes the lease of a session for a new run and starts it. It does so to the end even when the browser has
// gone meanwhile, since nobody would run a session whose lease was taken and told to nobody.
func (s *Service) begin(ctx context.Context, id string, way int, mine func(*session) error) (*session, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeWithin)
	defer cancel()
	run := uuid.NewString()
	var route Route
	taken, err := s.sessions.change(ctx, id, func(current *session) ([]store.Op, error) {
		if err := mine(current); err != nil {
			return nil, err
		}
		if current.State != StateOpened {
			return nil, errUnchanged
		}
		routes, _ := s.routesFor(current)
		if len(routes) == 0 {
			current.Reason = reasonNoAgent
			return nil, nil
		}
		route = routes[min(max(way, 0), len(routes)-1)]
		current.State, current.Job, current.Way, current.Reason = StateSigning, run, "", ""
		if route.local() {
			current.Way = route.Name
		}
		s.renew(current)
		current.Runs++
		current.Tries++
		current.Marks = pendingMarks(current.Total)
		return nil, nil
	})
	if errors.Is(err, errUnchanged) {
		return taken, nil // pressed twice, or over already: the page sees how it stands
	}
	if err != nil || taken.State != StateSigning {
		return taken, err
	}
	if route.local() {
		return taken, nil
	}
	j := &job{service: s, session: taken, route: route, asked: ctx}
	if err := s.Runner.Run(j.work); err != nil {
		_, giveBack := s.sessions.change(ctx, id, func(current *session) ([]store.Op, error) {
			if current.Job != run {
				return nil, errLost
			}
			current.giveBack("", s.Tries)
			return nil, nil
		})
		return nil, unavailable(errors.Join(err, giveBack).Error())
	}
	return taken, nil
}

// work asks the agent, and keeps what came of it.
func (j *job) work(ctx context.Context) {
	began := j.service.Now()
	ctx, leave := within(ctx, j.asked)
	defer leave()
	ctx, end := j.service.Span(ctx, "countersign run")
	released, err := j.attempt(ctx)
	end(j.finish(ctx, began, released, err))
}

// finish keeps what came of a run, and tells of it.
func (j *job) finish(ctx context.Context, began time.Time, released []item, err error) error {
	if !errors.Is(err, errLost) {
		refused := asRefusal(err)
		kept := j.conclude(ctx, released, refused)
		if refused == nil || !errors.Is(kept, errLost) { // else the session ended in another way, which is on record
			j.auditOutcome(ctx, refused, kept)
		}
		err = errors.Join(err, kept)
	}
	j.ended(ctx, began, err)
	return err
}

// within returns a context that ends with one and has the values of another.
func within(life, values context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(values))
	stop := context.AfterFunc(life, cancel)
	return ctx, func() { stop(); cancel() }
}

// auditOutcome completes the audit log: a release stands in it already, before it happened.
func (j *job) auditOutcome(ctx context.Context, refused *refusal, err error) {
	ctx = context.WithoutCancel(ctx)
	switch {
	case refused != nil:
		j.service.auditEnd(ctx, j.session, j.route.Name, string(StateFailed), refused.code)
	case err != nil:
		j.service.auditEnd(ctx, j.session, j.route.Name, outcomeNotKept, asRefusal(err).code)
	}
}

// attempt asks the agent and verifies what it returns. What an agent sends must not stop the whole service, so a
// panic is an interruption like any other.
func (j *job) attempt(ctx context.Context) (released []item, err error) {
	defer func() {
		if p := recover(); p != nil {
			released, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	items, err := j.service.sessions.payloads(ctx, j.session)
	if err != nil {
		return nil, err
	}
	if j.lost(ctx) {
		return nil, errLost
	}
	result, err := j.ask(ctx, items)
	if err != nil {
		return nil, err
	}
	return j.approve(ctx, items, result)
}

// approve verifies what an agent returned and records it. What comes back may be released.
func (j *job) approve(ctx context.Context, items []item, result *smartcard.Result) ([]item, error) {
	released, refused := j.service.verify(ctx, j.session, items, result)
	if refused != nil {
		return nil, refused
	}
	if j.lost(ctx) {
		return nil, errLost
	}
	return released, j.auditSigned(ctx, items, released)
}

// ask runs the agent while the lease is kept. It returns errLost when the session was taken away.
func (j *job) ask(ctx context.Context, items []item) (*smartcard.Result, error) {
	of := j.session
	order := smartcard.Job{
		Job: of.Job, Sub: of.Sub, Client: j.service.clientName(of.Client), Algorithm: of.Algorithm,
		Payloads: make([]smartcard.Payload, len(items)),
	}
	j.index, j.marks = make(map[string]int, len(items)), []byte(pendingMarks(len(items)))
	for i, it := range items {
		order.Payloads[i] = smartcard.Payload{ID: it.ID, Payload: it.Payload}
		j.index[it.ID] = i
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { j.keep(ctx, cancel) })
	defer keeping.Wait()
	defer cancel(nil)
	asking, end := j.service.Span(ctx, "countersign smartcard agent")
	result, err := j.route.Agent.Sign(asking, order, j.mark)
	end(err)
	if errors.Is(context.Cause(ctx), errLost) {
		return nil, errLost
	}
	return result, err
}

// conclude keeps the outcome: every signature with the state in one commit, or the reason why there is none. It
// goes on trying while the store is away, for a bounded time; after that the lease runs out and the person can
// try again.
func (j *job) conclude(ctx context.Context, released []item, refused *refusal) error {
	s := j.service
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeWithin)
	defer cancel()
	var chunks [][]byte
	if refused == nil {
		chunks = s.sessions.pack(released)
	}
	for unsure := false; ; unsure = true {
		_, err := s.sessions.change(ctx, j.session.ID, func(current *session) ([]store.Op, error) {
			switch {
			case unsure && refused == nil && current.State == StateSigned && current.Runs == j.session.Runs:
				return nil, errUnchanged // by the attempt before, whose answer was lost
			case !j.holds(current):
				return nil, errLost
			case refused == nil:
				current.Audit = j.audited
				return s.release(current, chunks), nil
			case refused.final && !j.mayChangeCard(refused):
				current.end(StateFailed, refused.code, current.Gone)
			default:
				current.giveBack(refused.code, s.Tries)
			}
			return nil, nil
		})
		switch {
		case errors.Is(err, errUnchanged):
			return nil
		case !errors.Is(err, store.ErrUnavailable):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(s.Durations.Heartbeat):
		}
	}
}

// mayChangeCard says that a refusal which is final elsewhere is not on the person's own machine: there a colleague's card
// stays in the reader every day, and the person puts in their own (decision 0003).
func (j *job) mayChangeCard(refused *refusal) bool {
	return refused.code == reasonCertUser && j.session.Way != ""
}

// release moves a session to signed, with the records of its signatures.
func (s *Service) release(current *session, chunks [][]byte) []store.Op {
	now := s.Now()
	current.Signed, current.Result = now, len(chunks)
	all := []byte(pendingMarks(current.Total))
	for i := range all {
		all[i] = markSigned
	}
	current.Marks = string(all)
	current.end(StateSigned, "", now.Add(s.Durations.Result))
	ops := make([]store.Op, len(chunks))
	for n, chunk := range chunks {
		ops[n].Put = &store.Record{Key: resultKey(current.ID, n), Value: chunk, Expires: current.Gone}
	}
	return ops
}

// ended tells the log and the observer how a run went.
func (j *job) ended(ctx context.Context, began time.Time, err error) {
	level, outcome, detail := slog.LevelInfo, "signed", ""
	switch {
	case errors.Is(err, errLost):
		outcome = "lost"
	case err != nil:
		level, outcome, detail = slog.LevelWarn, asRefusal(err).code, err.Error()
	}
	of, took := j.session, j.service.Now().Sub(began)
	j.service.Observer.RunEnded(ctx, Run{Agent: j.route.Name, Outcome: outcome, Items: of.Total, Took: took})
	j.service.Logger.LogAttrs(ctx, level, "signing run ended",
		slog.String("session", of.ID), slog.String("job", of.Job), slog.String("agent", j.route.Name),
		slog.String("client", of.Client), slog.Int("items", of.Total), slog.Int("try", of.Runs),
		slog.String("outcome", outcome), slog.Duration("duration", took), slog.String("detail", detail))
}

func (s *Service) clientName(id string) string {
	if client, known := s.Clients[id]; known && client.Name != "" {
		return client.Name
	}
	return id
}

func pendingMarks(total int) string {
	marks := make([]byte, total)
	for i := range marks {
		marks[i] = markPending
	}
	return string(marks)
}
