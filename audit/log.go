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
	Probe     time.Duration // how often it is tried whether the disk takes writes; default 15 seconds
	OnHead    func()        // is told of each head; it must not block
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
	o.Probe = orElse(o.Probe, 15*time.Second)
	if o.OnHead == nil {
		o.OnHead = func() {}
	}
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
	began   time.Time // of the first entry that is there

	// The writer's own.
	file      *os.File
	lock      *os.File
	size      int64
	number    int       // of the present file
	since     time.Time // of the first entry in it
	name      naming
	named     bool            // an entry of the present file names the log
	known     map[string]bool // kids whose public key stands in the present file
	unsigned  []string        // those of them that no head has signed yet
	last      Entry
	head      Entry     // the last one
	gap       gap       // since it
	why       string    // the next head would be late
	signAt    int       // so many entries call for a head
	attempted time.Time // when a head was tried last
	headError string    // of that attempt
	broken    *outage   // entries cannot be written
	probed    string    // why the disk takes no writes, when it was tried last
}

// Began is the time of the first entry that was there when the log was opened; if there was none, that time.
func (l *Log) Began() time.Time { return l.began }

// pending is one caller's entry on its way to the writer, or something else that only the writer can do.
type pending struct {
	kind string
	data json.RawMessage
	job  func(context.Context) error
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
	l.notice()
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
	return l.ask(ctx, &pending{kind: kind, data: text, done: make(chan written, 1)})
}

// Sign has the log signed as it stands.
func (l *Log) Sign(ctx context.Context) error { return l.do(ctx, l.trySign) }

// Rename gives the log another name, from the next entry on. An empty one, and the one that it has, change nothing.
func (l *Log) Rename(ctx context.Context, node string) error {
	if node == "" || node == l.Health().Node {
		return nil
	}
	if err := CheckNode(node); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return l.do(ctx, func(context.Context) error {
		l.rename(node)
		return nil
	})
}

// do has the writer do something between two entries.
func (l *Log) do(ctx context.Context, job func(context.Context) error) error {
	_, err := l.ask(ctx, &pending{job: job, done: make(chan written, 1)})
	return err
}

func (l *Log) ask(ctx context.Context, entry *pending) (Position, error) {
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
	defer l.notice()
	heads, probes := time.NewTicker(l.HeadAfter), time.NewTicker(l.Probe)
	defer heads.Stop()
	defer probes.Stop()
	l.probe()
	l.signHead()
	for {
		l.notice()
		select {
		case first, open := <-l.queue:
			if !open {
				l.signHead()
				return
			}
			l.serve(first)
			if l.gap.entries >= l.signAt {
				l.signHead()
			}
		case <-heads.C:
			l.signHead()
		case <-probes.C:
			l.probe()
		}
	}
}

// serve does what waits first, and with it what else is waiting.
func (l *Log) serve(first *pending) {
	batch, job := []*pending{first}, (*pending)(nil)
	if first.job != nil {
		batch, job = nil, first
	}
	const own = 3 // entries of the log's own that can come between
	most := min(max(l.HeadEvery-l.gap.entries-own, 1), queueLength)
	for waiting := true; waiting && job == nil && len(batch) < most; {
		select {
		case next, open := <-l.queue:
			switch {
			case !open:
				waiting = false
			case next.job != nil:
				job = next
			default:
				batch = append(batch, next)
			}
		default:
			waiting = false
		}
	}
	if len(batch) > 0 {
		l.writeBatch(batch)
	}
	if job != nil {
		ctx, cancel := context.WithTimeout(context.Background(), signWithin)
		defer cancel()
		err := job.job(ctx)
		l.notice() // before anybody is told
		job.done <- written{err: err}
	}
}

func (l *Log) writeBatch(batch []*pending) {
	at := l.Now()
	if l.gap.overdue(at) && (l.headError == "" || time.Since(l.attempted) > l.HeadAfter) { // the machine stood still, or its clock was moved
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
	l.notice() // before anybody is told
	for i, waiting := range batch {
		became := written{err: err}
		if err == nil {
			became.at = entries[i].position(l.name.Node)
		}
		waiting.done <- became
	}
}
