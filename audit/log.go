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

// Options of a Log. Dir and Signer are mandatory.
type Options struct {
	Dir       string // made with mode 0700 if it is not there
	Signer    Signer
	Node      string        // the log's name; empty: the one that it has, or else one made of Host
	Host      string        // the machine's name
	FileSize  int64         // a new file is begun beyond this; default 64 MiB
	FileAge   time.Duration // and when the present one is this old; default 30 days
	HeadEvery int           // entries between signed heads at the most; default 1000, which is also the most
	HeadAfter time.Duration // the longest that an entry stays without one; default 1 minute
	Now       func() time.Time
	Logger    *slog.Logger
}

func (o *Options) complete() error {
	if o.Dir == "" || o.Signer == nil {
		return errors.New("audit: a log needs a directory and a signer")
	}
	if o.Node != "" {
		if err := CheckNode(o.Node); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	if o.FileSize <= 0 {
		o.FileSize = 64 << 20
	}
	o.FileAge = orElse(o.FileAge, 30*24*time.Hour)
	o.HeadEvery = min(orElse(o.HeadEvery, promisedEntries), promisedEntries)
	o.HeadAfter = orElse(o.HeadAfter, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orElse[T comparable](value, fallback T) T {
	if value == *new(T) {
		return fallback
	}
	return value
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

	noticed sync.Mutex // guards health
	health  Health

	// The writer's own.
	file      *os.File
	lock      *os.File
	size      int64
	number    int       // of the present file
	since     time.Time // of the first entry in it
	name      naming
	named     bool            // an entry of the present file names the log
	known     map[string]bool // kids whose public key stands in the present file
	last      Entry
	head      Entry // the last one
	gap       gap   // since it
	why       string
	signAt    int       // so many entries call for a head
	attempted time.Time // when a head was tried last
	failing   bool      // that one failed
}

// Health is how a log stands.
type Health struct {
	Node      string
	Head      Head   // the last one; Number 0 while there is none
	Unsigned  int    // entries behind it
	Error     string // why the last entry could not be written; empty where it could
	HeadError string // why the last head could not be signed; empty where it could
}

// Health returns how the log stands now.
func (l *Log) Health() Health {
	l.noticed.Lock()
	defer l.noticed.Unlock()
	return l.health
}

// notice changes what Health tells.
func (l *Log) notice(change func(*Health)) {
	l.noticed.Lock()
	defer l.noticed.Unlock()
	change(&l.health)
	l.health.Node, l.health.Unsigned = l.name.Node, l.gap.entries
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// pending is one caller's entry on its way to the writer.
type pending struct {
	kind string
	data json.RawMessage
	done chan written
}

// written is what became of an entry.
type written struct {
	at  Position
	err error
}

// queueLength is how many callers may wait for the writer.
const queueLength = 1024

// Open opens a log, or begins one. It reads the last files to find where the chain stands, takes off a last line
// that was torn by a crash (it was never acknowledged), and refuses a log whose last lines do not hold. What stands there
// without a head is signed at once.
func Open(o Options) (*Log, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	l := &Log{Options: o, queue: make(chan *pending, queueLength), done: make(chan struct{}), signAt: o.HeadEvery, known: map[string]bool{}}
	if err := l.open(); err != nil {
		_ = l.closeFiles() // the first error is the one to tell
		return nil, fmt.Errorf("audit log %s: %w", o.Dir, err)
	}
	found := l.lastHead()
	l.notice(func(h *Health) { h.Head = found })
	go l.write()
	return l, nil
}

// Append writes an entry of a kind, and returns where it stands when it is durable. When ctx ends first the entry may or
// may not be written.
func (l *Log) Append(ctx context.Context, kind string, data any) (Position, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return Position{}, fmt.Errorf("audit: %w", err)
	}
	if len(text) > maxData { // here, so that no other caller's entry fails with it
		return Position{}, fmt.Errorf("audit: an entry has at most %d bytes", maxData)
	}
	entry := &pending{kind: kind, data: text, done: make(chan written, 1)}
	if err := l.enqueue(ctx, entry); err != nil {
		return Position{}, err
	}
	select {
	case became := <-entry.done:
		return became.at, became.err
	case <-ctx.Done():
		return Position{}, ctx.Err()
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
	l.signHead()
	for {
		select {
		case first, open := <-l.queue:
			if !open {
				l.signHead()
				return
			}
			l.writeBatch(l.gather(first))
			if l.gap.entries >= l.signAt {
				l.signHead()
			}
		case <-heads.C:
			l.signHead()
		}
	}
}

// gather takes what else is waiting, as much as the next head may sign.
func (l *Log) gather(first *pending) []*pending {
	const own = 3 // entries of the log's own that can come between
	most := min(max(l.HeadEvery-l.gap.entries-own, 1), queueLength)
	batch := []*pending{first}
	for len(batch) < most {
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
	at := l.Now()
	if l.gap.overdue(at) && (!l.failing || time.Since(l.attempted) > l.HeadAfter) { // the machine stood still, or its clock was moved
		l.signHead()
	}
	entries := make([]Entry, len(batch))
	for i, waiting := range batch {
		entries[i] = Entry{Kind: waiting.kind, Data: waiting.data}
	}
	err := l.ready(at)
	if err == nil {
		err = l.put(at, entries...)
	}
	l.notice(func(h *Health) { h.Error = text(err) })
	for i, waiting := range batch {
		became := written{err: err}
		if err == nil {
			became.at = entries[i].position(l.name.Node)
		}
		waiting.done <- became
	}
}
