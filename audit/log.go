package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Signer signs heads; the gateway's own keys do. PublicSet is its JWK set, in which the kid is found.
type Signer interface {
	Sign(ctx context.Context, message []byte) (kid string, signature []byte, err error)
	PublicSet(ctx context.Context) ([]byte, error)
}

// Options of a Log. Dir and Signer are mandatory.
type Options struct {
	Dir       string // made with mode 0700 if it is not there
	Signer    Signer
	FileSize  int64         // a new file is begun beyond this; default 64 MiB
	HeadEvery int           // entries between signed heads at the most; default 1000
	HeadAfter time.Duration // the longest that an entry stays without one; default 1 minute
	Now       func() time.Time
	Logger    *slog.Logger
}

func (o *Options) complete() error {
	if o.Dir == "" || o.Signer == nil {
		return errors.New("audit: a log needs a directory and a signer")
	}
	if o.FileSize <= 0 {
		o.FileSize = 64 << 20
	}
	if o.HeadEvery <= 0 {
		o.HeadEvery = 1000
	}
	if o.HeadAfter <= 0 {
		o.HeadAfter = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// ErrClosed is what Append gives once the log is closed.
var ErrClosed = errors.New("audit: the log is closed")

// Log appends entries. One process at a time can have it open.
type Log struct {
	Options
	queue chan *pending
	done  chan struct{} // closed when the writer has ended

	mu     sync.RWMutex
	closed bool

	// The writer's own.
	file     *os.File
	lock     *os.File
	size     int64
	number   int
	last     Entry
	unsigned int             // entries since the last head
	signAt   int             // so many of them call for a head
	known    map[string]bool // kids whose public key stands in the log
}

// pending is one caller's entry on its way to the writer.
type pending struct {
	kind string
	data json.RawMessage
	done chan error
}

// queueLength is how many callers may wait for the writer.
const queueLength = 1024

// Open opens a log, or begins one. It reads the last file to find where the chain stands, takes off a last line
// that was torn by a crash (it was never acknowledged), and refuses a log whose last lines do not hold.
func Open(o Options) (*Log, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	l := &Log{Options: o, queue: make(chan *pending, queueLength), done: make(chan struct{}), signAt: o.HeadEvery, known: map[string]bool{}}
	if err := l.open(); err != nil {
		_ = l.closeFiles() // the first error is the one to tell
		return nil, fmt.Errorf("audit log %s: %w", o.Dir, err)
	}
	go l.write()
	return l, nil
}

// Append writes an entry of a kind, and returns when it is durable. When ctx ends first the entry may or may not
// be written.
func (l *Log) Append(ctx context.Context, kind string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if len(text) > maxData { // here, so that no other caller's entry fails with it
		return fmt.Errorf("audit: an entry has at most %d bytes", maxData)
	}
	entry := &pending{kind: kind, data: text, done: make(chan error, 1)}
	if err := l.enqueue(ctx, entry); err != nil {
		return err
	}
	select {
	case err := <-entry.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Log) enqueue(ctx context.Context, entry *pending) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	select {
	case l.queue <- entry:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what is waiting, signs the head and closes the files.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	<-l.done
	return l.closeFiles()
}

// write is the writer: it takes what is waiting, writes it with one sync, and then tells everybody.
func (l *Log) write() {
	defer close(l.done)
	heads := time.NewTicker(l.HeadAfter)
	defer heads.Stop()
	for {
		select {
		case first, open := <-l.queue:
			if !open {
				l.signHead()
				return
			}
			l.writeBatch(l.gather(first))
			if l.unsigned >= l.signAt {
				l.signHead()
			}
		case <-heads.C:
			l.signHead()
		}
	}
}

// gather takes what else is waiting, up to a bound.
func (l *Log) gather(first *pending) []*pending {
	batch := []*pending{first}
	for len(batch) < queueLength {
		select {
		case next, open := <-l.queue:
			if !open {
				return batch
			}
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

func (l *Log) writeBatch(batch []*pending) {
	entries := make([]Entry, len(batch))
	for i, waiting := range batch {
		entries[i] = Entry{Kind: waiting.kind, Data: waiting.data}
	}
	err := l.extend(entries)
	if err == nil {
		l.unsigned += len(batch)
	}
	for _, waiting := range batch {
		waiting.done <- err
	}
}

// signHead signs the chain as it stands. If that cannot be done now it is done with the next head.
func (l *Log) signHead() {
	if l.unsigned == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.appendHead(ctx); err != nil {
		l.Logger.ErrorContext(ctx, "the audit log's head could not be signed; it is tried again with the next",
			"dir", l.Dir, "entries", l.unsigned, "error", err)
		l.signAt = l.unsigned + l.HeadEvery // a signer that is slow to fail must not hold up each entry
		return
	}
	l.unsigned, l.signAt = 0, l.HeadEvery
}

func (l *Log) appendHead(ctx context.Context) error {
	kid, _, err := l.Signer.Sign(ctx, []byte("countersign audit: which key"))
	if err != nil {
		return err
	}
	if !l.known[kid] {
		if err := l.appendKey(ctx, kid); err != nil {
			return err
		}
	}
	signedBy, signature, err := l.Signer.Sign(ctx, headMessage(l.last.Seq, l.last.Hash))
	if err != nil {
		return err
	}
	if signedBy != kid {
		return errors.New("the key was rotated just now")
	}
	data, err := json.Marshal(head{KID: kid, Signature: signature})
	if err != nil {
		return err
	}
	return l.extend([]Entry{{Kind: kindHead, Data: data}})
}

// appendKey writes the public key of the heads that follow, so that they can be checked when it is no longer
// published.
func (l *Log) appendKey(ctx context.Context, kid string) error {
	set, err := l.Signer.PublicSet(ctx)
	if err != nil {
		return err
	}
	jwk, err := findJWK(set, kid)
	if err != nil {
		return err
	}
	data, err := json.Marshal(publicKey{KID: kid, JWK: jwk})
	if err != nil {
		return err
	}
	if err := l.extend([]Entry{{Kind: kindKey, Data: data}}); err != nil {
		return err
	}
	l.known[kid] = true
	return nil
}
