package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-dd2befc3/countersign/store"
)

// work is one attempt of a call, on a connection of its own.
type work func(ctx context.Context, c *pgxpool.Conn) error

// read tries again after any loss of the connection; change only when nothing can have happened.
func (s *Store) read(ctx context.Context, run work) error {
	return s.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return traceless(run(ctx, c))
	})
}

func (s *Store) change(ctx context.Context, run work) error { return s.call(ctx, run) }

const (
	firstPause = 5 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// call makes attempts until one succeeds or fails for good, or the time is over.
func (s *Store) call(ctx context.Context, run work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if s.isClosed() {
			return unavailable("it is closed")
		}
		err := s.attempt(bounded, run)
		var conflict *store.Conflict
		switch {
		case err == nil, errors.As(err, &conflict):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case s.isClosed():
			return unavailable("it is closed")
		case !again(err):
			return unavailable("%w", err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // to be apart from others, not to be secret
		case <-s.closed:
		case <-bounded.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return unavailable("no success in %v: %w", s.wait, err)
		}
	}
}

func (s *Store) attempt(ctx context.Context, run work) error {
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	err = run(ctx, c)
	if readOnly(err) { // of a server that is no primary any more
		_ = c.Conn().Close(ctx)
	}
	return err
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// Codes that PostgreSQL and its relatives give (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	uniqueViolation              = "23505"
	transactionResolutionUnknown = "08007"
	statementCompletionUnknown   = "40003"
	readOnlyTransaction          = "25006"
)

// passing are the codes of what may be otherwise a moment later, and after which nothing is left of the attempt.
var passing = map[string]bool{
	"40001":             true, // serialisation failure
	"40P01":             true, // deadlock
	readOnlyTransaction: true, // this server is no primary any more; another may be
	"53300":             true, // too many connections
	"57P01":             true, // shutdown
	"57P02":             true, // crash shutdown
	"57P03":             true, // starting up
	"08006":             true, // connection failure, as poolers tell it
	"08003":             true, // connection does not exist
	"08P01":             true, // PgBouncer: the server connection was lost
}

// again says whether nothing was changed by an attempt, and the next may succeed.
func again(err error) bool {
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, errUnknown):
		return false
	case errors.Is(err, errAgain):
		return true
	case errors.As(err, &pg):
		return passing[pg.Code]
	}
	return pgconn.SafeToRetry(err) || errors.As(err, &connect)
}

// outcome marks the error of a pipeline after which the change may have been made or not. After a statement that failed
// before the commit had begun, it was not: a server takes them in order and passes over those after a failed one.
func outcome(committing bool, err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil, errors.Is(err, errAgain), errors.Is(err, errCheck), pgconn.SafeToRetry(err):
		return err
	case errors.As(err, &pg):
		fatal := pg.SeverityUnlocalized != "ERROR" && pg.Severity != "ERROR"
		told := pg.Code != statementCompletionUnknown && pg.Code != transactionResolutionUnknown
		if told && (!committing || !fatal) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// traceless marks the loss of a connection on which nothing was to be committed.
func traceless(err error) error {
	var pg *pgconn.PgError
	if err == nil || errors.Is(err, errCheck) || errors.As(err, &pg) {
		return err
	}
	return fmt.Errorf("%w: %w", errAgain, err)
}

var (
	errAgain   = errors.New("nothing was changed")                      // what left no trace, and may succeed a moment later
	errUnknown = errors.New("the change may have been made or may not") // the loss of the answer to a change
)

func readOnly(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == readOnlyTransaction
}

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrUnavailable, fmt.Errorf(format, args...))
}
