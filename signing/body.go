package signing

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// maxHeld bounds the bytes of all request bodies held at one time; above it callers are told to come back.
const maxHeld = 256 << 20

// readBody reads the request's body within its bounds of size, time and memory. The caller releases the
// memory's share when it is done with the body.
func (s *Service) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > MaxBody {
		return nil, nil, tooLarge(MaxBody)
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "text/plain" {
		return nil, nil, failure(http.StatusUnsupportedMediaType, "content_type",
			"Send the request as Content-Type: text/plain, with the JWT as the whole body").
			because("Content-Type", "text/plain", quoted(r.Header.Get("Content-Type")))
	}
	held := &share{of: &s.bodies}
	if body, err = s.readAll(w, r, MaxBody, held); err != nil {
		held.release()
		return nil, nil, err
	}
	return body, held.release, nil
}

// share is one body's part of the memory that all bodies hold.
type share struct {
	of    *atomic.Int64
	bytes int64
}

// grow makes the share as large as given, unless all together would be too large then.
func (h *share) grow(bytes int) error {
	more := int64(bytes) - h.bytes
	if h.of.Add(more) > maxHeld {
		h.of.Add(-more)
		return unavailable("bodies in flight are at their limit")
	}
	h.bytes += more
	return nil
}

func (h *share) release() { h.of.Add(-h.bytes) }

// readAll reads a body of limited length, which has to arrive within a time that is the real clock's, whatever the
// service's is. What it holds of it counts in the share.
func (s *Service) readAll(w http.ResponseWriter, r *http.Request, limit int64, held *share) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	// A server that cannot set a deadline has one of its own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.Durations.ReadBody))
	body, err := readAtMost(r.Body, r.ContentLength, limit, held)
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	return body, err
}

// firstRead is the memory that a body gets before any of it has arrived. What somebody declares and does not send costs
// no more than this.
const firstRead = 16 << 10

func readAtMost(body io.Reader, length, limit int64, held *share) ([]byte, error) {
	whole := limit + 1 // one more, so that a body of the declared length ends in one read
	if length >= 0 {
		whole = min(length, limit) + 1
	}
	buffer := make([]byte, 0, min(whole, firstRead))
	if err := held.grow(cap(buffer)); err != nil {
		return nil, err
	}
	for {
		n, err := body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case int64(len(buffer)) > limit:
			return nil, tooLarge(limit)
		case errors.Is(err, io.EOF):
			return buffer, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, failure(http.StatusRequestTimeout, "body", "The request's body took too long to arrive")
		case err != nil:
			return nil, badRequest("body", "The request's body did not arrive whole").withDetail("%s", err)
		case len(buffer) == cap(buffer):
			larger := min(4*len(buffer), int(max(whole, int64(len(buffer))+1)))
			if err := held.grow(larger); err != nil {
				return nil, err
			}
			buffer = append(make([]byte, 0, larger), buffer...)
		}
	}
}

func tooLarge(limit int64) *Error {
	return failure(http.StatusRequestEntityTooLarge, "too_large", "The body may have at most %d bytes here", limit).
		because("size of the body", fmt.Sprintf("at most %d bytes", limit), "more")
}
