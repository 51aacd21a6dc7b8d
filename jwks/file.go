package jwks

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// recheck is the least time between two checks of a file for changes.
const recheck = time.Second

// file is a key source that may change while in use: it is reloaded when its modification time, size or
// inode changes. If the file becomes invalid or disappears, its previous keys stay in use.
type file struct {
	path  string
	parse func([]byte) (*Set, error)

	mu      sync.Mutex
	set     *Set        // the last good set; never nil after first
	read    time.Time   // when set was read
	checked time.Time   // when the file was last checked
	seen    os.FileInfo // file info at that check; nil if the file was missing
	err     error       // error of the last load, if it failed
	again   bool        // load it at the next check, even if it looks unchanged
}

// pemFile returns a file whose set is one PEM public key.
func pemFile(k KeyFile) *file {
	return &file{path: k.Path, parse: func(data []byte) (*Set, error) {
		key, err := ParsePublicPEM(k.KID, data)
		if err != nil {
			return nil, err
		}
		return &Set{keys: []*Key{key}}, nil
	}}
}

// first loads the file for the first time. Only then is an invalid file an error.
func (f *file) first(now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked = now
	info, err := os.Stat(f.path)
	if err == nil {
		f.load(info, now)
		err = f.err
	}
	if err != nil {
		return fmt.Errorf("key file %s: %w", f.path, withoutPath(err))
	}
	return nil
}

// current returns the current keys. It checks the file for changes at most once a second.
func (f *file) current(now time.Time, client string, logger *slog.Logger) *Set {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.checked) < recheck && !now.Before(f.checked) {
		return f.set
	}
	f.checked = now
	info, err := os.Stat(f.path)
	switch {
	case err != nil && f.seen == nil:
		return f.set // still missing, and already logged
	case err != nil:
		f.seen, f.err = nil, withoutPath(err)
	case f.seen != nil && !f.again && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size():
		return f.set
	default:
		f.load(info, now)
	}
	if f.err != nil {
		logger.Warn("key file cannot be used and the keys loaded before stay in use: correct the file",
			"client", client, "file", f.path, "error", f.err)
		return f.set
	}
	f.set.log(logger)("key file reloaded", "client", client, "file", f.path, "kids", kidList(f.set), "left_out", f.set.skipped)
	return f.set
}

// load reads the file, whose state is info.
func (f *file) load(info os.FileInfo, now time.Time) {
	f.seen, f.again = info, false
	set, err := f.parseFile(info)
	f.err = err
	if err == nil {
		f.set, f.read = set, now
	}
}

func (f *file) parseFile(info os.FileInfo) (*Set, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	opened, err := os.Open(f.path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = opened.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(opened, maxSetBytes+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxSetBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxSetBytes)
	}
	return f.parse(data)
}

// status reports the state of the file.
func (f *file) status(client string) SourceStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := SourceStatus{Client: client, Source: f.path, Read: f.read}
	if f.err != nil {
		s.Error = f.err.Error()
	}
	return s.fill(f.set)
}

// withoutPath returns the cause of a *os.PathError, for messages that already name the path.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}
