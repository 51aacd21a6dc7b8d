package badger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// syncsItself says that the store syncs its log, and not Badger. On Linux the sync of a file includes what was written to
// it through memory, whoever mapped it.
const syncsItself = true

// syncData makes the contents of a file durable. It need not make its times so.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// isZero returns nil if nothing but zeros is in a part of a file. It asks where the next data is, and reads only the page
// in which the part begins: reading a hole would put it into the kernel's cache as large pages.
func isZero(f *os.File, from, to int64) error {
	hole := min((from+page-1)/page*page, to)
	next, err := unix.Seek(int(f.Fd()), hole, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // none
	case err != nil || next < to: // not a hole, or the file system does not tell
		hole = to
	}
	b := make([]byte, hole-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(bytes.TrimLeft(b, "\x00")) > 0 {
		return fmt.Errorf("%s holds something between %d and %d, where nothing should be: not touched", f.Name(), from, to)
	}
	return nil
}
