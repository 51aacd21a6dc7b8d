package bars

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Body is a request's body on its way. It tells who is to blame when the way ends early: whoever sends the body, or
// whoever should read it (BAR-5.24).
type Body struct {
	io.ReadCloser
	left  int64
	began time.Time

	mu      sync.Mutex
	end     error         // io.EOF after the whole body, or why it broke off
	waiting time.Time     // since when the sender is waited for; zero: it is not
	waited  time.Duration // how long it was waited for before
}

// WatchBody replaces a request's body by one that tells, of at most limit bytes. It returns nil for a request without.
func WatchBody(r *http.Request, limit int64) *Body {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	body := &Body{ReadCloser: r.Body, left: limit, began: time.Now()}
	r.Body = body
	return body
}

// Read implements io.Reader.
func (b *Body) Read(into []byte) (int, error) {
	b.mu.Lock()
	b.waiting = time.Now()
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(into)
	if b.left -= int64(n); b.left < 0 {
		n, err = 0, tooLarge.With("the body is larger than allowed and had no Content-Length")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waited += time.Since(b.waiting)
	b.waiting = time.Time{}
	if err != nil && b.end == nil {
		b.end = err
	}
	return n, err
}

// Broken returns why the body broke off, if it did.
func (b *Body) Broken() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.end, io.EOF) {
		return nil
	}
	return b.end
}

// Awaited reports whether most of the time went by in waiting for the sender, which stalled or sent its body in drips.
// Otherwise whoever should read the body is waited for.
func (b *Body) Awaited() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	waited := b.waited
	if !b.waiting.IsZero() {
		waited += time.Since(b.waiting)
	}
	return !errors.Is(b.end, io.EOF) && waited > time.Since(b.began)/2
}
