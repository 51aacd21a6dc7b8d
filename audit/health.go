package audit

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Health is the state of a log.
type Health struct {
	Node      string
	Log       string
	Head      Head   // the last one; Number is 0 if there is none
	Unsigned  int    // entries after it
	Error     string // why entries cannot be written; empty if they can
	HeadError string // why the last head could not be signed; empty if it could
}

// Health returns the current state of the log.
func (l *Log) Health() Health {
	l.noticed.Lock()
	defer l.noticed.Unlock()
	return l.health
}

// notice updates what Health returns.
func (l *Log) notice() {
	broken := ""
	if l.broken != nil {
		broken = l.broken.Why
	}
	now := Health{
		Node: l.name.Node, Log: l.name.Log, Head: l.lastHead(), Unsigned: l.gap.entries,
		Error: cmp.Or(broken, l.probed), HeadError: l.headError,
	}
	l.noticed.Lock()
	defer l.noticed.Unlock()
	l.health = now
}

// outage is a time in which entries could not be written. It is also the data of a kindInterrupted.
type outage struct {
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

// wrote records the result of an attempt to write, and logs changes.
func (l *Log) wrote(err error) {
	switch {
	case err != nil && l.broken == nil:
		l.broken = &outage{Since: l.Now().UTC(), Why: err.Error()}
		l.Logger.Error("the audit log cannot be written; operations that need a record are refused meanwhile, unless records are optional",
			"dir", l.Dir, "error", err)
	case err == nil && l.broken != nil:
		l.Logger.Info("the audit log can be written again", "dir", l.Dir, "since", l.broken.Since)
		l.broken = nil
	}
}

// probe tests whether the log can be written, so that a full disk is reported before an entry is needed, and a disk with
// room again is noticed although a gateway that is not ready gets no requests.
func (l *Log) probe() {
	if err := l.tryDisk(); err != nil {
		if l.probed == "" {
			l.Logger.Error("the audit log's disk takes no writes", "dir", l.Dir, "error", err)
		}
		l.probed = err.Error()
		return
	}
	l.probed = ""
	if l.broken != nil {
		_ = l.ready(l.Now()) // recorded, and retried
	}
}

// probeSize is a page, which is more than most entries need.
const probeSize = 4096

// tryDisk writes a file next to the log's and removes it. That fails on a full or read-only disk.
func (l *Log) tryDisk() error {
	path := filepath.Join(l.Dir, "probe")
	err := os.WriteFile(path, make([]byte, probeSize), 0o600)
	if removed := os.Remove(path); err == nil {
		err = removed
	}
	return err
}

// inPlace checks that the file being written is still at its path and has the expected size. If the log were moved or cut
// while the gateway runs, entries would otherwise go where no one looks, or the chain would break.
func (l *Log) inPlace() error {
	path := filepath.Join(l.Dir, fileName(l.number))
	there, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is gone: it was moved or deleted while the gateway wrote to it; put it back, or restart the gateway to begin another log", path)
	}
	if err != nil {
		return err
	}
	ours, err := l.file.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(there, ours) || there.Size() != l.size {
		return fmt.Errorf("%s was replaced or changed, not by this gateway: restore it, or restart the gateway", path)
	}
	return nil
}
