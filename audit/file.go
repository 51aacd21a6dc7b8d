package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-dd2befc3/countersign/durable"
)

// openFile opens a file of the log for writing, and creates it if it does not exist.
func (l *Log) openFile(number int) error {
	file, err := os.OpenFile(filepath.Join(l.Dir, fileName(number)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = durable.SyncDir(l.Dir)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.number, l.size = file, number, info.Size()
	return nil
}

// ready prepares the log for entries: it checks that the current file is still at its path, starts a new file if that one
// is full or old, and writes the entry that names the log and one that reports a time without writing.
func (l *Log) ready(at time.Time) error {
	if l.file == nil {
		return errors.New("audit: the log cannot be written any more; see the previous error")
	}
	err := l.inPlace()
	if err == nil && (l.size >= l.FileSize || (!l.since.IsZero() && at.Sub(l.since) >= l.FileAge)) {
		err = l.nextFile()
	}
	if err != nil {
		l.wrote(err)
		return fmt.Errorf("audit: %w", err)
	}
	var own []Entry
	if !l.named {
		data, err := json.Marshal(l.name)
		if err != nil {
			return err
		}
		own = append(own, Entry{Kind: kindLog, Data: data})
	}
	if l.broken != nil {
		data, err := json.Marshal(l.broken)
		if err != nil {
			return err
		}
		own = append(own, Entry{Kind: kindInterrupted, Data: data})
	}
	if len(own) == 0 {
		return nil
	}
	return l.put(at, own...)
}

// add appends an entry. The log must be ready.
func (l *Log) add(e Entry) error {
	at := l.Now()
	if err := l.ready(at); err != nil {
		return err
	}
	return l.put(at, e)
}

// put chains entries to the log and makes them durable. If that fails, the written part is truncated, so that the chain
// stays whole; if truncation fails too, every later call fails.
func (l *Log) put(at time.Time, entries ...Entry) error {
	var text []byte
	last := l.last
	for i := range entries {
		e := &entries[i]
		e.Seq, e.Prev, e.Time = last.Seq+1, last.Hash, at.UTC()
		line, err := e.line()
		if err != nil {
			return err
		}
		text, last = append(text, line...), *e
	}
	_, err := l.file.Write(text)
	if err == nil {
		err = durable.Sync(l.file)
	}
	l.wrote(err)
	if err != nil {
		return l.takeBack(err)
	}
	l.size += int64(len(text))
	for _, e := range entries {
		l.note(e)
	}
	return nil
}

func (l *Log) takeBack(cause error) error {
	err := l.file.Truncate(l.size)
	if err == nil {
		err = durable.Sync(l.file)
	}
	if err != nil {
		cause = errors.Join(cause, err, l.file.Close())
		l.file = nil
	}
	return fmt.Errorf("audit: writing an entry: %w", cause)
}

// nextFile starts a new file. If that fails, the old one stays in use and the next entry tries again.
func (l *Log) nextFile() error {
	full := l.file
	if err := l.openFile(l.number + 1); err != nil {
		return fmt.Errorf("starting a new file: %w", err)
	}
	l.beginFile()
	_ = full.Close() // everything in it is durable
	return nil
}

func (l *Log) closeFiles() error {
	var err error
	if l.file != nil {
		err = l.file.Close()
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}
