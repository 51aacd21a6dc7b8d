package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// touchJournal makes a metadata change without effect: it allocates the block that the first byte already has. ext4 starts
// a journal transaction for that and reports its failure. A file system that does not support the call has to be
// trusted.
func touchJournal(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	failed := conn.Control(func(fd uintptr) {
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			err = unix.Fallocate(int(fd), unix.FALLOC_FL_KEEP_SIZE, 0, 1)
		}
	})
	if err = errors.Join(failed, err); err == nil || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return fmt.Errorf("%s was synced, but its file system accepts no more changes: %w", f.Name(), err)
}
