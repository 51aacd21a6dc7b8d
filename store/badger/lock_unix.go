//go:build linux || darwin || freebsd

package badger

import (
	"os"

	"golang.org/x/sys/unix"
)

// InUse reports whether a process has the store in the directory open: Badger locks the directory itself.
func InUse(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return true
	}
	return unix.Flock(int(f.Fd()), unix.LOCK_UN) != nil
}
