package audit

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Health is how a log stands.
type Health struct {
	Node      string
	Log       string
	Head      Head   // the last one; Number 0 while there is none
	Unsigned  int    // entries behind it
	Error     string // why entries cannot be written; empty where they can
	HeadError string // why the last head could not be signed; empty where it could
}

// Health returns how the log stands now.
func (l *Log) Health() Health {
	l.noticed.Lock()
	defer l.noticed.Unlock()
	return l.health
}

// notice has Health tell how the writer stands.
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

// outage is a time in which entries could not be written. It is the data of a kindInterrupted as well.
type outage struct {
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

// wrote notes how an attempt to write ended, and logs where that changes.
func (l *Log) wrote(err error) {
	switch {
	case err != nil && l.broken == nil:
		l.broken = &outage{Since: l.Now().UTC(), Why: err.Error()}
		l.Logger.Error("the audit log cannot be written; what needs a record is refused until it can, unless records are optional",
			"dir", l.Dir, "error", err)
	case err == nil && l.broken != nil:
		l.Logger.Info("the audit log can be written again", "dir", l.Dir, "since", l.broken.Since)
		l.broken = nil
	}
}

// probe tries whether the log can be written, so that a full disk is told before somebody needs it, and one that has room
// again is noticed although nobody asks a gateway that is not ready.
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
		_ = l.ready(l.Now()) // noted, and tried again
	}
}

// probeSize is a page, and more than most entries have.
const probeSize = 4096

// tryDisk writes a file beside the log's and removes it. A disk without room refuses it, as one that is read-only does.
func (l *Log) tryDisk() error {
	path := filepath.Join(l.Dir, "probe")
	err := os.WriteFile(path, make([]byte, probeSize), 0o600)
	if removed := os.Remove(path); err == nil {
		err = removed
	}
	return err
}

// inPlace checks that the file that is written is the one at its path, and as long as it was left. Who moves or cuts a
// log while the gateway runs would otherwise have it write where nobody looks, or break the chain.
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
		return fmt.Errorf("%s was replaced or changed by something else than this gateway: put it back as it was, or restart the gateway", path)
	}
	return nil
}
