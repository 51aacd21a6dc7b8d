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

// Options configures a Log. Dir and Signer are required.
type Options struct {
	Dir       string // created with mode 0700 if missing
	Signer    Signer
	Node      string        // the log's name; empty: its current name, or else one derived from Host
	Host      string        // the machine's name
	FileSize  int64         // size in bytes at which a new file is started; default 64 MiB
	FileAge   time.Duration // age at which a new file is started; default 30 days
	HeadEvery int           // most entries between signed heads; default and maximum 1000
	HeadAfter time.Duration // longest time that an entry stays without a head; default 1 minute
	Probe     time.Duration // how often the disk is tested for writing; default 15 seconds
	OnHead    func()        // called after each head; must not block
	Now       func() time.Time
	Logger    *slog.Logger
}

func (o *Options) complete() error {
	if o.Dir == "" || o.Signer == nil {
		return errors.New("audit: Options need a directory and a signer")
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

// ErrClosed is returned by Append once the log is closed.
var ErrClosed = errors.New("audit: the log is closed")

// Log appends entries. Only one process at a time can have it open.
type Log struct {
	Options
	queue chan *pending
	done  chan struct{} // closed when the writer has ended

	mu     sync.RWMutex
	closed bool

	noticed sync.Mutex // guards health
	health  Health
	began   time.Time // of the first entry on disk

	// Used by the writer only.
	file      *os.File
	lock      *os.File
	size      int64
	number    int       // of the current file
	since     time.Time // of the first entry in the current file
	name      naming
	named     bool            // the current file has an entry that names the log
	known     map[string]bool // kids whose public keys are in the current file
	unsigned  []string        // those of them that no head has signed yet
	last      Entry
	head      Entry     // the last head
	gap       gap       // entries since the last head
	why       string    // why the next head is late, if it is
	signAt    int       // number of unsigned entries at which a head is due
	attempted time.Time // when a head was last attempted
	headError string    // of that attempt, if it failed
	broken    *outage   // set while entries cannot be written
	probed    string    // why the disk failed its last test, if it did
}

// Began returns the time of the first entry on disk when the log was opened or, if there was none, the time of opening.
func (l *Log) Began() time.Time { return l.began }

// pending is one caller's entry for the writer, or a job that only the writer can do.
type pending struct {
	kind string
	data json.RawMessage
	job  func(context.Context) error
	done chan written
}

// written is the result of a pending entry.
type written struct {
	at  Position
	err error
}

// queueLength bounds how many callers may wait for the writer.
const queueLength = 1024

// Open opens a log, or begins one. It reads the last files to find the end of the chain, removes a last line that a crash
// left incomplete (it was never acknowledged), and refuses a log whose last lines are not intact. Entries without a head
// are signed at once.
func Open(o Options) (*Log, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	l := &Log{Options: o, queue: make(chan *pending, queueLength), done: make(chan struct{}), signAt: o.HeadEvery, known: map[string]bool{}}
	if err := l.open(); err != nil {
		_ = l.closeFiles() // the first error is the one to return
		return nil, fmt.Errorf("audit log %s: %w", o.Dir, err)
	}
	l.notice()
	go l.write()
	return l, nil
}

// Append writes an entry and returns its position once it is durable. If ctx ends first, the entry may or may not be
// written.
func (l *Log) Append(ctx context.Context, kind string, data any) (Position, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return Position{}, fmt.Errorf("audit: %w", err)
	}
	if len(text) > maxData { // checked here, so that no other caller's entry fails with it
		return Position{}, fmt.Errorf("audit: data has more than %d bytes", maxData)
	}
	return l.ask(ctx, &pending{kind: kind, data: text, done: make(chan written, 1)})
}

// Sign signs the current chain.
func (l *Log) Sign(ctx context.Context) error { return l.do(ctx, l.trySign) }

// Rename gives the log another name, starting with the next entry. An empty or the current name changes nothing.
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

// do runs a job in the writer, between two entries.
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

// Close writes the waiting entries, signs the head and closes the files.
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

// write is the writer: it collects the waiting entries, writes them with one sync, and then answers their callers.
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

// serve handles the first pending request, together with others that are waiting.
func (l *Log) serve(first *pending) {
	batch, job := []*pending{first}, (*pending)(nil)
	if first.job != nil {
		batch, job = nil, first
	}
	const own = 3 // entries that the log itself may write in between
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
		l.notice() // before the caller is answered
		job.done <- written{err: err}
	}
}

func (l *Log) writeBatch(batch []*pending) {
	at := l.Now()
	if l.gap.overdue(at) && (l.headError == "" || time.Since(l.attempted) > l.HeadAfter) { // the machine was suspended, or its clock was changed
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
	l.notice() // before the callers are answered
	for i, waiting := range batch {
		became := written{err: err}
		if err == nil {
			became.at = entries[i].position(l.name.Node)
		}
		waiting.done <- became
	}
}
