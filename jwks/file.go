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

// recheck is how often at most a file is looked at for a change.
const recheck = time.Second

// file is a source of keys that may change while it is in use: it is read again when its modification time,
// its size or its inode changes. A file that went bad or away leaves the keys as they were.
type file struct {
	path  string
	parse func([]byte) (*Set, error)

	mu      sync.Mutex
	set     *Set        // the last good one; never nil after first
	read    time.Time   // when set was read
	checked time.Time   // when the file was last looked at
	seen    os.FileInfo // what was seen then; nil: nothing
	err     error       // of the last attempt to read it
}

// pemFile is a file whose set is one PEM public key.
func pemFile(k KeyFile) *file {
	return &file{path: k.Path, parse: func(data []byte) (*Set, error) {
		key, err := ParsePublicPEM(k.KID, data)
		if err != nil {
			return nil, err
		}
		return &Set{keys: []*Key{key}}, nil
	}}
}

// first reads the file for the first time. Only then is a bad file an error.
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

// current returns the keys as they are now, looking at the file if that was not done in the last second.
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
		return f.set // away, and that was said
	case err != nil:
		f.seen, f.err = nil, withoutPath(err)
	case f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size():
		return f.set
	default:
		f.load(info, now)
	}
	if f.err != nil {
		logger.Warn("a key file is not usable; the keys it held before stay in use until it is mended",
			"client", client, "file", f.path, "error", f.err)
		return f.set
	}
	f.set.log(logger)("a key file was read again", "client", client, "file", f.path, "kids", kidList(f.set), "left_out", f.set.skipped)
	return f.set
}

// load reads the file that was seen as info.
func (f *file) load(info os.FileInfo, now time.Time) {
	f.seen = info
	set, err := f.parseFile(info)
	f.err = err
	if err == nil {
		f.set, f.read = set, now
	}
}

func (f *file) parseFile(info os.FileInfo) (*Set, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	opened, err := os.Open(f.path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = opened.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(opened, maxSetBytes+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxSetBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxSetBytes)
	}
	return f.parse(data)
}

// status tells how the file is doing.
func (f *file) status(client string) SourceStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := SourceStatus{Client: client, Source: f.path, Read: f.read}
	if f.err != nil {
		s.Error = f.err.Error()
	}
	return s.fill(f.set)
}

// withoutPath returns the bare cause of an error of package os, for texts that name the path themselves.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}
