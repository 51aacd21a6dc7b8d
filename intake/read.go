package intake

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

// What can keep Read from reading a body, besides share.ErrGivenUp and share.ErrFull.
var (
	ErrTooLarge = errors.New("the body is too large")
	ErrSlow     = errors.New("the body took too long to arrive")
)

// Read reads the request's body, of at most limit bytes, which has to arrive within a time that is the real clock's and,
// while its caller has proven nothing, not more slowly than LeastRate. The memory counts in the pool as it is filled;
// what the place began with counts already. With ErrTooLarge comes what was read, if anything was, and the rest can be
// read from the request. Errors of the connection are returned as they are.
func (t *Taken) Read(limit int64, within time.Duration) ([]byte, error) {
	declared := t.request.ContentLength
	if declared > limit {
		return nil, ErrTooLarge
	}
	whole := limit + 1 // one more, so that a body of the declared length ends in one read
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

// next reads what comes next after so many bytes.
func (t *Taken) next(into []byte, after int64, last time.Time) (n int, err error) {
	if err := t.begin(after, last); err != nil {
		return 0, err
	}
	n, err = t.request.Body.Read(into)
	return n, t.end(err)
}

// begin sets the time by which something has to arrive.
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
	_ = t.control.SetReadDeadline(deadline) // a server that cannot has a deadline of its own
	return nil
}

// end says what came of a read. The deadline stays where the body is not at its end, and the next read sets another.
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

// grow has the memory count. Those who are proven leave what they began with in the pool as well.
func (t *Taken) grow(to int64) error {
	if to <= t.part {
		return nil
	}
	return t.hold.Grow(to)
}
