package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-dd2befc3/countersign/durable"
)

// live is the log that Badger currently writes to. live prepares the file for the next writes and syncs it.
//
// Badger maps a log into memory as a sparse file, and the kernel finds a block for each page when it writes the page
// back. On ext4 a sync can then succeed although the place of that block in the file was never recorded (see package
// durable). So live writes zeros to the blocks before Badger uses them. A later sync overwrites blocks that have their
// place already, which is safe and also faster.
// written blocks is safe and also faster.
//
//	0          used       ready           size
//	├ written ─┼ prepared ┼ sparse ───────┤
//
// Only the writer calls live, and only between commits, when Badger does not write. Zeros are written only over holes
// or zeros, so Badger's data are never touched.
//
// live works on Linux. Elsewhere it does nothing, and Badger syncs its files itself.
type live struct {
	dir    string
	file   *os.File // nil: do nothing
	number int
	size   int64
	used   int64 // Badger has written nothing from here on
	ready  int64 // blocks before here were on the disk before Badger used them
}

const (
	ahead = 2 << 20   // bytes to prepare while the writer is idle
	step  = 256 << 10 // bytes to prepare at a time while idle: takes about 1 ms, by which a commit may be delayed
	piece = 1 << 20   // bytes to prepare at a time when a commit needs them: takes about 2.5 ms

	// fresh is what Badger writes to a new log: its header, and zeros where the first entry will start.
	fresh = walHead + walNext
	// walNext is the number of zeros that Badger writes after each entry.
	walNext = 22
	// marks bounds what a transaction takes in the log besides the staged entries: the store's records about
	// itself, the entry that ends the transaction, and the zeros after it.
	marks = 192
)

// follow finds the log that Badger created when it opened the directory, and prepares its start.
func follow(dir string) (*live, error) {
	if !syncsItself {
		return &live{}, nil
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"+logSuffix))
	if err != nil {
		return nil, err
	}
	l := &live{dir: dir, number: -1}
	for _, path := range paths {
		number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), logSuffix))
		if err != nil {
			return nil, fmt.Errorf("%s does not have the name of a log: %w", path, err)
		}
		l.number = max(l.number, number)
	}
	if err := l.open(l.number, fresh); err != nil {
		return nil, err
	}
	if err := l.reserve(ahead); err != nil && !errors.Is(err, errUnprepared) {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// open switches to a log to which Badger may have written up to used.
func (l *live) open(number int, used int64) error {
	var file *os.File
	err := insist(func() (err error) {
		file, err = os.OpenFile(l.path(number), os.O_RDWR, 0)
		return err
	})
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	_ = l.close() // the previous log is durable
	l.file, l.number, l.size, l.used, l.ready = file, number, info.Size(), used, used
	return nil
}

func (l *live) path(number int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%05d%s", number, logSuffix))
}

// errUnprepared means that the log could not be prepared and nothing else has happened: the disk or a quota is full, or
// the file system accepts no changes.
var errUnprepared = errors.New("the log could not be prepared")

// reserve prepares room for a transaction of at most size bytes.
func (l *live) reserve(size int64) error {
	for l.file != nil && l.ready < min(l.used+size, l.size) {
		if err := l.prepare(piece); err != nil {
			return err
		}
	}
	return nil
}

// isShort reports whether the idle writer should prepare more.
func (l *live) isShort() bool { return l.file != nil && l.ready < min(l.used+ahead, l.size) }

// prepare writes zeros up to the next multiple of size and makes them durable.
func (l *live) prepare(size int64) error {
	end, err := l.zero(size)
	if err == nil {
		err = syncData(l.file)
	}
	if err != nil {
		return err
	}
	if err := durable.Witness(l.dir); err != nil { // an fsync that failed unseen would make everything after it untrustworthy
		return fmt.Errorf("%w: %w", errUnprepared, err)
	}
	l.ready = end
	return nil
}

// zero writes zeros up to the next multiple of size. It writes page by page, because the kernel would keep a larger
// write as one large folio and write all of it at every later sync.
func (l *live) zero(size int64) (end int64, err error) {
	end = min((l.ready/size+1)*size, l.size)
	if err := isZero(l.file, l.ready, end); err != nil {
		return 0, err
	}
	for at := l.ready; at < end; {
		next := min((at/page+1)*page, end)
		_, err := l.file.WriteAt(zeros[:next-at], at)
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return 0, fmt.Errorf("%w: %w", errUnprepared, err)
		}
		if err != nil {
			return 0, err
		}
		at = next
	}
	return end, nil
}

const page = 4096

var zeros [page]byte

// sync makes the transaction durable that Badger has just written, of at most size bytes.
func (l *live) sync(size int64) error {
	if l.file == nil {
		return nil
	}
	_, err := os.Lstat(l.path(l.number + 1))
	if errors.Is(err, fs.ErrNotExist) {
		l.used += size
		return syncData(l.file)
	}
	if err == nil {
		err = l.open(l.number+1, fresh+size)
	}
	if err == nil {
		err = l.begin()
	}
	return err
}

// begin makes the first transaction of a log durable. Badger creates a log and writes to it in one go, so the blocks of
// that transaction could not be prepared, and its sync is trusted only after SyncDir has found no fault in the file
// system.
func (l *live) begin() error {
	end, unprepared := l.zero(step)
	if unprepared != nil && !errors.Is(unprepared, errUnprepared) {
		return unprepared
	}
	if err := syncData(l.file); err != nil {
		return err
	}
	if err := insist(func() error { return durable.SyncDir(l.dir) }); err != nil {
		return err
	}
	if unprepared == nil {
		l.ready = end
	}
	return nil
}

// insist retries a call for a while if the process is out of file descriptors. Badger has already written by then, so
// the result has to be known.
func insist(call func() error) error {
	for attempt := 0; ; attempt++ {
		err := call()
		if attempt == 1000 || !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return err
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (l *live) close() error {
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}
