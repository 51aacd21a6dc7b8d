package intake

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// body is a request body that records how far it was read. It is safe for concurrent use, because an HTTP transport may
// keep reading after its response has arrived.
type body struct {
	from   io.ReadCloser
	mu     sync.Mutex   // held during a read
	begun  atomic.Bool  // a read was attempted
	taken  atomic.Int64 // bytes read
	ended  atomic.Bool  // read to the end
	failed atomic.Bool  // a read failed
	shut   atomic.Bool  // only the guard may read
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

// Close stops reads by the handler. The underlying body stays open, because the guard still has to find its end.
func (b *body) Close() error {
	b.shut.Store(true)
	return nil
}

// idle stops reads by the handler and reports whether no read is in progress.
func (b *body) idle() bool {
	b.shut.Store(true)
	if !b.mu.TryLock() {
		return false
	}
	b.mu.Unlock()
	return true
}

// drop reads and discards up to most bytes.
func (b *body) drop(most int64) {
	b.shut.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.Load() {
		_, _ = io.CopyN(io.Discard, readerFunc(b.next), most+1) // EOF is reported only by a read beyond the end
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }
