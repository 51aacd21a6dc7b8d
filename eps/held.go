package eps

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// budget bounds the bytes that all requests under way may hold together.
type budget struct {
	most int64
	used atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) <= b.most {
		return true
	}
	b.used.Add(-int64(n))
	return false
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// held is a copy of what passes. It is given up if it becomes too large. A transport may go on reading a request's body
// after the answer has come, so several goroutines may use it.
type held struct {
	budget *budget
	most   int

	mu    sync.Mutex
	data  []byte
	whole bool // its end has passed
	lost  bool // given up, or taken
}

func (h *held) add(data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost || len(data) == 0 {
		return
	}
	if len(h.data)+len(data) > h.most || !h.budget.take(len(data)) {
		h.giveUp()
		return
	}
	h.data = append(h.data, data...)
}

// ended notes that all has passed.
func (h *held) ended() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.whole = true
}

// drop forgets what was held.
func (h *held) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lost {
		h.giveUp()
	}
}

func (h *held) giveUp() {
	h.budget.give(len(h.data))
	h.data, h.lost = nil, true
}

// take returns what was held, if it is whole, and holds no more. The caller gives it back to the budget.
func (h *held) take() (data []byte, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost || !h.whole {
		return nil, false
	}
	data, h.data, h.lost = h.data, nil, true
	return data, true
}

// watchedBody is a request's body that is held while others read it.
type watchedBody struct {
	io.ReadCloser
	held *held
	left int64 // bytes until the declared end; negative: it is not declared
}

// Read implements io.Reader.
func (b *watchedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.held.add(into[:n])
	if b.left >= 0 {
		b.left -= int64(n)
	}
	if err == io.EOF || b.left == 0 { //nolint:errorlint // a reader's end is not wrapped
		b.held.ended()
	}
	return n, err
}

// watchedAnswer is an answer that is held while it is written.
type watchedAnswer struct {
	http.ResponseWriter
	held   *held
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *watchedAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *watchedAnswer) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(data)
	if a.status == http.StatusOK {
		a.held.add(data[:n])
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (a *watchedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
