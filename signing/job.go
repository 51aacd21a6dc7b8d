package signing

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

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
	id      string // of the session
	run     string // of this run: what the lease is held by
	route   Route

	mu    sync.Mutex
	index map[string]int // where an item's mark stands
	marks []byte
	dirty bool
}

// routeFor chooses the agent for a session: the mock for those that were opened for it and where there is
// nothing else, or else the first that serves the user.
func (s *Service) routeFor(of *session) (route Route, mock, found bool) {
	if s.Mock != nil && (of.Mock || len(s.Agents) == 0) {
		return *s.Mock, true, true
	}
	for _, route := range s.Agents {
		if route.serves(of.Sub) {
			return route, false, true
		}
	}
	return Route{}, false, false
}

// begin takes the lease of a session for a new run and starts it.
func (s *Service) begin(ctx context.Context, id string, mine func(*session) error) (*session, error) {
	run := uuid.NewString()
	var route Route
	taken, err := s.sessions.change(ctx, id, func(current *session) ([]store.Op, error) {
		if err := mine(current); err != nil {
			return nil, err
		}
		if current.State != StateOpened {
			return nil, errNotOpened
		}
		var found bool
		if route, _, found = s.routeFor(current); !found {
			current.Reason = reasonNoAgent
			return nil, nil
		}
		current.State, current.Job, current.Reason = StateSigning, run, ""
		current.Lease = s.Now().Add(s.Durations.Lease)
		current.Tries++
		current.Marks = pendingMarks(current.Total)
		return nil, nil
	})
	if errors.Is(err, errNotOpened) {
		return taken, nil // pressed twice, or over already: the page sees how it stands
	}
	if err != nil || taken.State != StateSigning {
		return taken, err
	}
	j := &job{service: s, id: id, run: run, route: route}
	if err := s.Runner.Run(j.work); err != nil {
		_, giveBack := s.sessions.change(ctx, id, func(current *session) ([]store.Op, error) {
			if current.Job != run {
				return nil, errLost
			}
			current.State, current.Job, current.Marks = StateOpened, "", ""
			current.Tries--
			return nil, nil
		})
		return nil, unavailable(errors.Join(err, giveBack).Error())
	}
	return taken, nil
}

var errNotOpened = errors.New("the session is not waiting to be signed")

// work asks the agent and concludes with what came of it.
func (j *job) work(ctx context.Context) {
	s, began := j.service, j.service.Now()
	current, _, err := s.sessions.get(ctx, j.id)
	if err != nil {
		j.log(ctx, nil, began, err.Error(), err)
		return // the lease runs out, and the person can try again
	}
	items, err := s.sessions.payloads(ctx, current)
	if err != nil {
		j.log(ctx, current, began, err.Error(), err)
		return
	}
	result, err := j.ask(ctx, current, items)
	if errors.Is(err, errLost) {
		j.log(ctx, current, began, "lost", nil)
		return
	}
	refusal := asRefusal(err)
	var released []item
	if refusal == nil {
		released, refusal = s.verify(ctx, current, items, result)
	}
	err = j.conclude(ctx, released, refusal)
	outcome := "signed"
	if refusal != nil {
		outcome, err = refusal.code, errors.Join(refusal, err)
	}
	j.log(ctx, current, began, outcome, err)
}

// ask runs the agent while the lease is kept. It returns errLost when the session was taken away.
func (j *job) ask(ctx context.Context, current *session, items []item) (*smartcard.Result, error) {
	order := smartcard.Job{
		Job: j.run, Sub: current.Sub, Client: j.service.clientName(current.Client), Algorithm: current.Algorithm,
		Payloads: make([]smartcard.Payload, len(items)),
	}
	j.index, j.marks = make(map[string]int, len(items)), []byte(pendingMarks(len(items)))
	for i, it := range items {
		order.Payloads[i] = smartcard.Payload{ID: it.ID, Payload: it.Payload}
		j.index[it.ID] = i
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var keeping sync.WaitGroup
	keeping.Go(func() { j.keep(ctx, cancel) })
	result, err := j.route.Agent.Sign(ctx, order, j.mark)
	lost := context.Cause(ctx)
	cancel(nil)
	keeping.Wait()
	if errors.Is(lost, errLost) {
		return nil, errLost
	}
	return result, err
}

// mark notes that an item is done. It is called as signatures arrive and never waits for the store.
func (j *job) mark(id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i, known := j.index[id]; known {
		j.marks[i], j.dirty = markSigned, true
	}
}

// keep writes progress and renews the lease until ctx ends, at most four times a second by default, and ends
// the run when the session is taken away.
func (j *job) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	s := j.service
	tick := time.NewTicker(s.Durations.Heartbeat)
	defer tick.Stop()
	renewed := s.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		j.mu.Lock()
		marks, dirty := string(j.marks), j.dirty
		j.dirty = false
		j.mu.Unlock()
		due := s.Now().Sub(renewed) >= s.Durations.Lease/3
		_, err := s.sessions.change(ctx, j.id, func(current *session) ([]store.Op, error) {
			switch {
			case current.State != StateSigning || current.Job != j.run:
				return nil, errLost
			case !dirty && !due:
				return nil, errUnchanged
			}
			current.Marks, current.Lease = marks, s.Now().Add(s.Durations.Lease)
			return nil, nil
		})
		switch {
		case err == nil:
			renewed = s.Now()
		case errors.Is(err, errLost), isGone(err):
			cancel(errLost)
			return
		case !errors.Is(err, errUnchanged):
			s.Logger.LogAttrs(ctx, slog.LevelWarn, "progress not kept",
				slog.String("session", j.id), slog.String("error", err.Error()))
		}
	}
}

var errUnchanged = errors.New("nothing to write")

func isGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == "not_found"
}

// conclude keeps the outcome: every signature with the state in one commit, or the reason why there is none. It
// goes on trying while the store is away, for a bounded time; after that the lease runs out and the person can
// try again.
func (j *job) conclude(ctx context.Context, released []item, refused *refusal) error {
	s := j.service
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeWithin)
	defer cancel()
	chunks, err := pack(released)
	if err != nil {
		return err
	}
	for {
		_, err := s.sessions.change(ctx, j.id, func(current *session) ([]store.Op, error) {
			if current.State != StateSigning || current.Job != j.run {
				return nil, errLost
			}
			if refused != nil {
				s.giveBack(current, refused)
				return nil, nil
			}
			return s.release(current, chunks), nil
		})
		if !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(s.Durations.Heartbeat):
		}
	}
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

// giveBack moves a session that was not signed to where the person can try again, or to failed.
func (s *Service) giveBack(current *session, refused *refusal) {
	switch {
	case refused.final:
		current.end(StateFailed, refused.code, current.Gone)
	case current.Tries >= s.Tries:
		current.end(StateFailed, reasonTooManyTries, current.Gone)
	default:
		current.State, current.Reason = StateOpened, refused.code
		current.Job, current.Lease, current.Marks = "", time.Time{}, ""
	}
}

func (j *job) log(ctx context.Context, of *session, began time.Time, outcome string, err error) {
	level, detail := slog.LevelInfo, ""
	if err != nil {
		level, detail = slog.LevelWarn, err.Error()
	}
	attrs := []slog.Attr{
		slog.String("session", j.id), slog.String("job", j.run), slog.String("agent", j.route.Name),
		slog.String("outcome", outcome), slog.Duration("duration", j.service.Now().Sub(began)), slog.String("detail", detail),
	}
	if of != nil {
		attrs = append(attrs, slog.String("client", of.Client), slog.Int("items", of.Total), slog.Int("try", of.Tries))
	}
	j.service.Logger.LogAttrs(ctx, level, "signing run ended", attrs...)
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
