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

// work is one attempt of a call, on its own connection.
type work func(ctx context.Context, c *pgxpool.Conn) error

// read retries after any loss of the connection; change only if nothing can have changed.
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

// call makes attempts until one succeeds, fails for good, or the time is over.
func (s *Store) call(ctx context.Context, run work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if s.isClosed() {
			return unavailable("store is closed")
		}
		err := s.attempt(bounded, run)
		var conflict *store.Conflict
		switch {
		case err == nil, errors.As(err, &conflict):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case s.isClosed():
			return unavailable("store is closed")
		case !again(err):
			return unavailable("%w", err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // to spread nodes out, not to be secret
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
	if readOnly(err) { // by a server that is no longer the primary
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

// Error codes of PostgreSQL and compatible servers (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	uniqueViolation              = "23505"
	transactionResolutionUnknown = "08007"
	statementCompletionUnknown   = "40003"
	readOnlyTransaction          = "25006"
)

// passing are the codes of failures that change nothing and may be over a moment later.
var passing = map[string]bool{
	"40001":             true, // serialisation failure
	"40P01":             true, // deadlock
	readOnlyTransaction: true, // this server is no longer the primary; another may be
	"53300":             true, // too many connections
	"57P01":             true, // shutdown
	"57P02":             true, // crash shutdown
	"57P03":             true, // starting up
	"08006":             true, // connection failure, as reported by poolers
	"08003":             true, // connection does not exist
	"08P01":             true, // PgBouncer: the server connection was lost
}

// again reports whether an attempt changed nothing and the next may succeed.
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

// outcome marks the error of a pipeline with an unknown outcome. If a statement failed before the commit began, the
// outcome is known: servers execute statements in order and skip those after a failed one.
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
	errAgain   = errors.New("nothing was changed")                      // no change was made, and a retry may succeed
	errUnknown = errors.New("the change may or may not have been made") // the loss of the answer to a change
)

func readOnly(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == readOnlyTransaction
}

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrUnavailable, fmt.Errorf(format, args...))
}
