package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// disk is a file system of its own, mounted from a file or in memory, that the test can break.
type disk struct {
	t     testing.TB
	dir   string // where it is mounted
	image string // the file that it lies in; none in memory
	left  bool   // it was unmounted for good
}

// newDisk makes an ext4 file system with a journal in a file and mounts it over a loop device. An error in it makes it
// read-only, as it does where Linux is installed by default.
func newDisk(t testing.TB) *disk {
	t.Helper()
	needsRoot(t)
	dir := t.TempDir()
	d := &disk{t: t, dir: filepath.Join(dir, "mounted"), image: filepath.Join(dir, "image")}
	d.must(os.Mkdir(d.dir, 0o700))
	d.must(os.WriteFile(d.image, nil, 0o600))
	d.must(os.Truncate(d.image, 1<<30))
	d.run("mkfs.ext4", "-q", "-N", "4096", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
	d.mount()
	t.Cleanup(d.leave)
	return d
}

// leave unmounts the disk for good.
func (d *disk) leave() {
	d.t.Helper()
	if !d.left {
		d.run("umount", "-l", d.dir)
	}
	d.left = true
}

// newMemoryDisk mounts a file system of that size in memory.
func newMemoryDisk(t testing.TB, size string) *disk {
	t.Helper()
	needsRoot(t)
	d := &disk{t: t, dir: filepath.Join(t.TempDir(), "mounted")}
	d.must(os.Mkdir(d.dir, 0o700))
	d.run("mount", "-t", "tmpfs", "-o", "mode=0700,size="+size, "countersign-faults", d.dir)
	t.Cleanup(d.leave)
	return d
}

func needsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this fault mounts a file system of its own and breaks it: run it as root, with loop devices")
	}
}

func (d *disk) mount() {
	d.t.Helper()
	d.run("mount", "-o", "loop,errors=remount-ro", d.image, d.dir)
}

func (d *disk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) run(name string, args ...string) string {
	d.t.Helper()
	out, err := gateway.Run(nil, name, args...)
	d.must(err)
	return strings.TrimSpace(string(out))
}

// Ioctl EXT4_IOC_SHUTDOWN and its flag for ending without a last write to the journal.
const (
	ext4Shutdown   = 0x8004587d
	noFinalJournal = 2
)

// losePower ends the file system at once: what stands only in its cache, in memory, is never written. What was handed
// to the disk before stands in the image file, which is then copied, so that nothing that comes later reaches it. The
// process that uses the disk is stopped meanwhile; end has to end it.
func (d *disk) losePower(end func()) {
	d.t.Helper()
	handle, err := os.Open(d.dir)
	d.must(err)
	err = unix.IoctlSetPointerInt(int(handle.Fd()), ext4Shutdown, noFinalJournal)
	d.must(errors.Join(err, handle.Close()))
	left := d.image + ".left"
	d.run("cp", "--reflink=auto", "--sparse=always", d.image, left)
	end()
	d.run("umount", d.dir)
	d.must(os.Rename(left, d.image))
	d.mount() // which replays the journal
}

// fail has the file system meet an error in itself, upon which Linux mounts it read-only.
func (d *disk) fail() {
	d.t.Helper()
	device := filepath.Base(d.run("findmnt", "-n", "-o", "SOURCE", d.dir))
	d.must(os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("fault harness"), 0o200))
	if err := os.WriteFile(filepath.Join(d.dir, "probe"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		d.t.Fatalf("the disk should be read-only by now: %v", err)
	}
}

// repair has the file system checked, as a start of the machine does, and mounts it again.
func (d *disk) repair() {
	d.t.Helper()
	d.run("umount", d.dir)
	// Exit status 1: errors were corrected.
	var exit interface{ ExitCode() int }
	if _, err := gateway.Run(nil, "e2fsck", "-p", d.image); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		d.t.Fatal(err)
	}
	d.mount()
}

// fill leaves so many bytes free, by a file that grows, even while others write too. free takes it away.
func (d *disk) fill(leave uint64) {
	d.t.Helper()
	file, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY, 0o600)
	d.must(err)
	defer file.Close()
	for {
		var st unix.Statfs_t
		d.must(unix.Statfs(d.dir, &st))
		free := st.Bavail * uint64(st.Bsize) //nolint:gosec // a size is not negative
		if free <= leave {
			return
		}
		info, err := file.Stat()
		d.must(err)
		more := int64(max((free-leave)/2, 4096)) //nolint:gosec // less than the disk has
		if err := unix.Fallocate(int(file.Fd()), 0, info.Size(), more); !errors.Is(err, unix.ENOSPC) {
			d.must(err)
		}
	}
}

func (d *disk) free() {
	d.t.Helper()
	d.must(os.Remove(d.filler()))
}

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// keep makes one file durable.
func (d *disk) keep(name string) {
	d.t.Helper()
	file, err := os.Open(filepath.Join(d.dir, name))
	d.must(err)
	d.must(errors.Join(file.Sync(), file.Close()))
}

// home is a directory on the disk for a gateway.
func (d *disk) home() string {
	d.t.Helper()
	path := filepath.Join(d.dir, "home")
	d.must(os.MkdirAll(path, 0o700))
	return path
}
