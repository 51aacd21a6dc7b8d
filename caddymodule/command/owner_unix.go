//go:build unix

package command

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-dd2befc3/countersign/durable"
)

// canOwn says that files have owners here.
const canOwn = true

func ownerOf(path string) (owner, error) {
	info, err := os.Stat(path)
	if err != nil {
		return owner{}, err
	}
	of := info.Sys().(*syscall.Stat_t)
	return owner{int(of.Uid), int(of.Gid)}, nil
}

// giveOne gives a file or a directory of root's to somebody else, and returns when that is durable. It leaves alone what
// others own, and links. A file with a second name is refused: that may be one of the system's.
func giveOne(in *os.Root, name string, to owner) error {
	info, err := in.Lstat(name)
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return err
	}
	mode := os.O_RDWR // so that it can be synced
	if info.IsDir() {
		mode = os.O_RDONLY
	}
	f, err := in.OpenFile(name, mode|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(giveOpen(f, to), f.Close())
}

func giveOpen(f *os.File, to owner) error {
	info, err := f.Stat() // of what is open, whatever has its name by now
	if err != nil {
		return err
	}
	of := info.Sys().(*syscall.Stat_t)
	switch {
	case of.Uid != 0:
		return nil
	case !info.IsDir() && of.Nlink != 1:
		return fmt.Errorf("%s belongs to root and has other names: see what it is, and give it to user %d", f.Name(), to.uid)
	}
	if err := f.Chown(to.uid, to.gid); err != nil {
		return err
	}
	if info.IsDir() {
		return durable.SyncDir(f.Name())
	}
	return durable.Sync(f)
}
