package badger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// syncsItself means that the store syncs the log, not Badger. On Linux syncing a file includes pages of it that any
// process has written through a mapping.
const syncsItself = true

// syncData makes the contents of a file durable, but not necessarily its timestamps.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// isZero returns nil if a part of a file has only zeros. It asks the file system where the next data are, and reads
// only the page in which the part starts: reading a hole would put it into the page cache as large folios.
func isZero(f *os.File, from, to int64) error {
	hole := min((from+page-1)/page*page, to)
	next, err := unix.Seek(int(f.Fd()), hole, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // no data
	case err != nil || next < to: // there are data, or the file system cannot tell
		hole = to
	}
	b := make([]byte, hole-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(bytes.TrimLeft(b, "\x00")) > 0 {
		return fmt.Errorf("%s has data between %d and %d, where there should be none; nothing was changed", f.Name(), from, to)
	}
	return nil
}
