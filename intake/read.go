package intake

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

// Errors of Read, in addition to share.ErrGivenUp and share.ErrFull.
var (
	ErrTooLarge = errors.New("the body is too large")
	ErrSlow     = errors.New("the body took too long to arrive")
)

// Read reads the request's body of at most limit bytes. The body must arrive within the given time by the real clock and,
// while the caller is unproven, at LeastRate or faster. Memory counts in the pool as it fills; the group's Part is counted
// already. With ErrTooLarge, Read also returns what it has read, and the rest can be read from the request. Errors of the
// connection are returned unchanged.
func (t *Taken) Read(limit int64, within time.Duration) ([]byte, error) {
	declared := t.request.ContentLength
	if declared > limit {
		return nil, ErrTooLarge
	}
	whole := limit + 1 // one byte more, so that a body of the declared length ends in one read
	if declared >= 0 {
		whole = declared + 1
	}
	last := time.Now().Add(within)
	buffer := make([]byte, 0, min(whole, firstRead))
	for {
		n, err := t.next(buffer[len(buffer):cap(buffer)], int64(len(buffer)), last)
		buffer = buffer[:len(buffer)+n]
		switch {
		case int64(len(buffer)) > limit:
			_ = t.control.SetReadDeadline(time.Time{})
			return buffer, ErrTooLarge
		case errors.Is(err, io.EOF):
			return buffer, nil
		case err != nil:
			return nil, err
		case len(buffer) == cap(buffer):
			larger := min(4*len(buffer), int(max(whole, int64(len(buffer))+1)))
			if err := t.grow(int64(larger)); err != nil {
				return nil, err
			}
			buffer = append(make([]byte, 0, larger), buffer...)
		}
	}
}

// next reads the bytes that follow the first after bytes.
func (t *Taken) next(into []byte, after int64, last time.Time) (n int, err error) {
	if err := t.begin(after, last); err != nil {
		return 0, err
	}
	n, err = t.request.Body.Read(into)
	return n, t.end(err)
}

// begin sets the deadline of the next read.
func (t *Taken) begin(after int64, last time.Time) error {
	deadline := last
	if !t.proven {
		allowed := t.began.Add(Grace + time.Duration(after)*time.Second/LeastRate)
		if allowed.Before(deadline) {
			deadline = allowed
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ending != going {
		return share.ErrGivenUp
	}
	t.ending = reading
	_ = t.control.SetReadDeadline(deadline) // a server without support has its own deadline
	return nil
}

// end returns the error of a read. It clears the deadline only at the end of the body; otherwise the next read sets it.
func (t *Taken) end(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ending == gaveUp:
		return share.ErrGivenUp
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: %w", ErrSlow, err)
	case errors.Is(err, io.EOF):
		_ = t.control.SetReadDeadline(time.Time{})
	}
	t.ending = going
	return err
}

// grow counts the memory in the pool. A proven caller's Part stays counted too.
func (t *Taken) grow(to int64) error {
	if to <= t.part {
		return nil
	}
	return t.hold.Grow(to)
}
