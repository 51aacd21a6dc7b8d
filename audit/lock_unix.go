//go:build unix

package audit

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks the log against a second process that writes to it. The lock is released when the file is closed, and
// so at the latest with the process.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another process has it open: give each gateway a directory of its own"), err, file.Close())
	}
	return file, nil
}
