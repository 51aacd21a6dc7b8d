package signing

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// renew lets the lease run from now. It reaches no further than one lease past the deadline, so that a run that
// began in time may end, and what is kept of a session outlives it (see accept).
func (s *Service) renew(current *session) {
	current.Lease = earliest(s.Now(), current.Deadline).Add(s.Durations.Lease)
}

// mark notes that an item is done. It is called as signatures arrive and never waits for the store.
func (j *job) mark(id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i, known := j.index[id]; known {
		j.marks[i] = markSigned
	}
}

// keep writes progress and renews the lease until ctx ends, at most four times a second by default, and ends
// the run when the session is taken away.
func (j *job) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	s := j.service
	tick := time.NewTicker(s.Durations.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		j.mu.Lock()
		marks := string(j.marks)
		j.mu.Unlock()
		_, err := s.sessions.change(ctx, j.session.ID, func(current *session) ([]store.Op, error) {
			if !j.holds(current) {
				return nil, errLost
			}
			before := *current
			current.Marks = marks
			s.renew(current)
			due := before.Lease.Sub(s.Now()) <= s.Durations.Lease*2/3 && current.Lease.After(before.Lease)
			if marks == before.Marks && !due {
				return nil, errUnchanged
			}
			return nil, nil
		})
		switch {
		case err == nil:
		case errors.Is(err, errLost), isGone(err):
			cancel(errLost)
			return
		case !errors.Is(err, errUnchanged) && ctx.Err() == nil:
			s.Logger.LogAttrs(ctx, slog.LevelWarn, "progress not kept",
				slog.String("session", j.session.ID), slog.String("error", err.Error()))
		}
	}
}

// holds says whether the session is still this run's.
func (j *job) holds(current *session) bool {
	return current.State == StateSigning && current.Job == j.session.Job
}

// lost says that the session is no longer this run's, so that no card is asked and no release recorded for a session that
// the person has just cancelled. It is only a look: whether the outcome counts is for the commit in conclude to say.
func (j *job) lost(ctx context.Context) bool {
	current, _, err := j.service.sessions.get(ctx, j.session.ID)
	return isGone(err) || err == nil && !j.holds(current)
}

func isGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == "not_found"
}
