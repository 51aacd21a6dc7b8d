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

	"github.com/seed-dd2befc3/countersign/durable"
)

// live is the log that Badger is writing to, and makes what Badger writes there durable.
//
// Badger maps a log into memory as a sparse file and leaves it to the kernel to find a block for each page. On ext4 the
// sync that follows can succeed although the block's place in the file is lost (see package durable). So blocks are
// written with zeros before Badger uses them: a sync then only overwrites what has its place already, which is also
// faster.
//
//	0          used       ready           size
//	├ written ─┼ prepared ┼ sparse ───────┤
//
// Only the writer calls it, and only between Badger's commits, when nobody else writes to the file. Zeros go where
// the file is a hole, or holds zeros: Badger's own contents are never touched.
//
// On other systems than Linux a live log does nothing, and Badger syncs by itself.
type live struct {
	dir    string
	file   *os.File // nil: does nothing
	number int
	size   int64
	used   int64 // Badger has written nothing from here on
	ready  int64 // blocks before here were durable before Badger used them
}

const (
	ahead = 2 << 20   // bytes that are prepared while nobody waits
	step  = 256 << 10 // of them at once: about 1 ms, for which a commit may have to wait after all
	piece = 1 << 20   // bytes that are prepared at once where a commit waits already: about 2.5 ms

	// fresh is what Badger writes to a log that it makes: the head, and zeros where the first entry will begin.
	fresh = walHead + walNext
	// walNext is how many zeros Badger writes behind each entry.
	walNext = 22
	// marks is at least what one transaction takes in the log beyond what its callers staged: what the store keeps about
	// itself, the entry that ends it, and the zeros behind it.
	marks = 192
)

// follow finds the log that Badger made when it opened the directory, and prepares its beginning.
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
			return nil, fmt.Errorf("%s is no log of a store: %w", path, err)
		}
		l.number = max(l.number, number)
	}
	if err := l.open(l.number, fresh); err != nil {
		return nil, err
	}
	if err := l.reserve(ahead); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// open turns to another log, up to a place to which Badger may have written.
func (l *live) open(number int, used int64) error {
	file, err := os.OpenFile(l.path(number), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if l.file != nil {
		_ = l.file.Close() // all of it is durable
	}
	l.file, l.number, l.size, l.used, l.ready = file, number, info.Size(), used, used
	return nil
}

func (l *live) path(number int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%05d%s", number, logSuffix))
}

// reserve prepares room for a transaction of so many bytes. With errNoRoom nothing has happened.
func (l *live) reserve(size int64) error {
	for l.file != nil && l.ready < min(l.used+size, l.size) {
		if err := l.prepare(piece); err != nil {
			return err
		}
	}
	return nil
}

// isShort says whether less is prepared than should be while nobody waits.
func (l *live) isShort() bool { return l.file != nil && l.ready < min(l.used+ahead, l.size) }

// prepare makes the next blocks, up to a multiple of a size.
func (l *live) prepare(size int64) error {
	end, err := l.zero(size)
	if err == nil {
		err = syncData(l.file)
	}
	if err == nil {
		err = durable.Witness(l.dir) // what was synced while the disk failed must not be built upon
	}
	if err != nil {
		return err
	}
	l.ready = end
	return nil
}

// errNoRoom is a disk, or a share of one, that is full.
var errNoRoom = errors.New("there is no room to write ahead")

// zero writes zeros up to the next multiple of a size, page by page: written at once they would be one large page to the
// kernel, which every sync would then write whole.
func (l *live) zero(size int64) (end int64, err error) {
	end = min((l.ready/size+1)*size, l.size)
	if err := isZero(l.file, l.ready, end); err != nil {
		return 0, err
	}
	for at := l.ready; at < end; {
		next := min((at/page+1)*page, end)
		_, err := l.file.WriteAt(zeros[:next-at], at)
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return 0, fmt.Errorf("%w: %w", errNoRoom, err)
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

// sync makes a transaction durable that Badger has just written, of at most so many bytes.
func (l *live) sync(size int64) error {
	if l.file == nil {
		return nil
	}
	err := l.open(l.number+1, fresh+size)
	if err == nil {
		return l.begin()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.used += size
	return syncData(l.file)
}

// begin makes the first transaction of a log durable. Badger makes a log and writes to it in one go, so nothing could be
// prepared for that one: its sync has to be seen to be true.
func (l *live) begin() error {
	end, err := l.zero(step)
	if err != nil && !errors.Is(err, errNoRoom) {
		return err
	}
	full := err != nil
	if err := syncData(l.file); err != nil {
		return err
	}
	if err := durable.SyncDir(l.dir); err != nil { // with the name of the log
		return err
	}
	if !full {
		l.ready = end
	}
	return nil
}

func (l *live) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
