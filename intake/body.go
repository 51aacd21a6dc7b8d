package intake

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// body is a request's body that notes how far it was read. Several goroutines may use it: an HTTP transport goes on
// reading after the answer to its request has come.
type body struct {
	from   io.ReadCloser
	mu     sync.Mutex   // held while somebody reads
	begun  atomic.Bool  // somebody wanted to read
	taken  atomic.Int64 // bytes that were read
	ended  atomic.Bool  // all of it was read
	failed atomic.Bool  // it cannot be read to its end
	shut   atomic.Bool  // nobody but the guard reads any more
}

// Read implements io.Reader.
func (b *body) Read(into []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.next(into)
}

func (b *body) next(into []byte) (int, error) {
	b.begun.Store(true)
	n, err := b.from.Read(into)
	b.taken.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		b.ended.Store(true)
	case err != nil:
		b.failed.Store(true)
	}
	return n, err
}

// Close ends the reading by others. The body itself stays open, since the guard has yet to find its end.
func (b *body) Close() error {
	b.shut.Store(true)
	return nil
}

// idle ends the reading by others, and says whether nobody is in the middle of it.
func (b *body) idle() bool {
	b.shut.Store(true)
	if !b.mu.TryLock() {
		return false
	}
	b.mu.Unlock()
	return true
}

// drop reads up to a number of bytes more, and forgets them.
func (b *body) drop(most int64) {
	b.shut.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.Load() {
		_, _ = io.CopyN(io.Discard, readerFunc(b.next), most+1) // the end is found only by asking for more
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }
