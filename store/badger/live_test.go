//go:build linux

package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	engine "github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/seed-dd2befc3/countersign/store"
)

// TestWrittenBeforeUsed examines the blocks of Badger's log when Badger has written a transaction that is not synced yet:
// each page it has written must be in a block that was on the disk before. It covers several logs and transactions from a
// few bytes to 100 KB. Only the first transaction of a log is exempt, because Badger creates a log and writes to it in
// one go.
func TestWrittenBeforeUsed(t *testing.T) {
	dir := t.TempDir()
	blocks := tellsBlocks(t, dir)
	logs := map[string]int64{} // and how far Badger has written there
	var s *Store
	s = open(t, Options{Dir: dir, tune: smallLogs, commit: func(txn *engine.Txn) error {
		if err := txn.Commit(); err != nil {
			return err
		}
		path := liveLog(t, dir)
		before, known := logs[path]
		if !known {
			before = walHead
		}
		end := before + transactionAt(t, path, before)
		logs[path] = end
		if !known && len(logs) > 1 {
			return nil
		}
		if end+walNext > s.live.ready {
			t.Errorf("%s: Badger has written up to %d, want at most the prepared %d", path, end, s.live.ready)
		}
		if blocks {
			for _, e := range pendingBlocks(t, path) {
				t.Errorf("%s: Badger has written up to %d, but no block is on the disk for %v", path, end, e)
			}
		}
		return nil
	}})
	for n := range 150 {
		size := []int{10, 2000, 20_000, 100_000}[n%4]
		if err := s.Commit(t.Context(), put(fmt.Sprint(n), make([]byte, size))); err != nil {
			t.Fatal(err)
		}
		if !blocks {
			continue
		}
		path := liveLog(t, dir)
		for _, e := range pendingBlocks(t, path) { // the writer may be preparing the log meanwhile
			if e.Logical < uint64(logs[path]) { //nolint:gosec // an offset is not negative
				t.Errorf("%s: acknowledged up to %d, but no block is on the disk for %v", path, logs[path], e)
			}
		}
	}
	if len(logs) < 4 {
		t.Errorf("got %d logs, want several", len(logs))
	}
}

// smallLogs makes Badger start a new log after about a megabyte.
func smallLogs(o engine.Options) engine.Options {
	return o.WithMemTableSize(1 << 20).WithValueThreshold(128 << 10)
}

// liveLog returns the log that Badger writes to.
func liveLog(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+logSuffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("logs in %s: got %v, %v, want one", dir, paths, err)
	}
	return slices.Max(paths)
}

// transactionAt returns the length of the whole transaction at an offset of a log.
func transactionAt(t *testing.T, path string, at int64) int64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 128<<10)
	if _, err := f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	end, txn := readTransaction(b, 0)
	if txn == 0 {
		t.Fatalf("%s has no transaction at %d", path, at)
	}
	return int64(end)
}

// tellsBlocks reports whether the file system tells which blocks of a file are on the disk, and overwrites in place.
// Elsewhere only the store's own counts are checked.
func tellsBlocks(t *testing.T, dir string) bool {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	tells := st.Type == unix.EXT4_SUPER_MAGIC || st.Type == unix.XFS_SUPER_MAGIC
	if !tells {
		t.Logf("%s is on a file system of type %x: its blocks are not checked", dir, st.Type)
	}
	return tells
}

// extent is struct fiemap_extent of Linux.
type extent struct {
	Logical, Physical, Length uint64
	_                         [2]uint64
	Flags                     uint32
	_                         [3]uint32
}

func (e extent) String() string {
	return fmt.Sprintf("%d to %d (flags %x)", e.Logical, e.Logical+e.Length, e.Flags)
}

const (
	fiemapIoctl = 0xc020660b
	// Not allocated yet, or allocated and not written yet.
	unfinished = 0x2 | 0x4 | 0x800
)

// pendingBlocks returns the parts of a file with data for which no written block is recorded.
func pendingBlocks(t *testing.T, path string) []extent {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var m struct { // struct fiemap
		Start, Length   uint64
		Flags, Mapped   uint32
		Count, Reserved uint32
		Extents         [256]extent
	}
	m.Length, m.Count = 1<<63, uint32(len(m.Extents))
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fiemapIoctl, uintptr(unsafe.Pointer(&m))); errno != 0 {
		t.Fatalf("reading the blocks of %s: %v", path, errno)
	}
	if m.Mapped == m.Count {
		t.Fatalf("%s has %d extents or more, too many to check", path, m.Count)
	}
	return slices.DeleteFunc(m.Extents[:m.Mapped], func(e extent) bool { return e.Flags&unfinished == 0 })
}

// An idle store prepares again what a commit has used up.
func TestAheadInPeace(t *testing.T) {
	var s *Store
	var prepared int64
	s = open(t, Options{Dir: t.TempDir(), commit: func(txn *engine.Txn) error {
		prepared = s.live.ready - s.live.used
		return txn.Commit()
	}})
	large := store.Batch{}
	for n := range 3 {
		large.Then = append(large.Then, store.Op{Put: &store.Record{Key: fmt.Sprint(n), Value: make([]byte, store.MaxValue)}})
	}
	if err := s.Commit(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); prepared <= ahead-step; {
		if err := s.Commit(t.Context(), put("small", nil)); err != nil || time.Now().After(deadline) {
			t.Fatalf("got %d bytes prepared, %v, want more than %d", prepared, err, ahead-step)
		}
	}
}

// Existing data in the log is never overwritten, whoever wrote it.
func TestAheadTouchesNothing(t *testing.T) {
	for _, at := range []int64{fresh, 4095, 4096, 100_000, piece - 1} {
		path := filepath.Join(t.TempDir(), "00001.mem")
		theirs := append(make([]byte, at), "theirs"...)
		if err := os.WriteFile(path, theirs, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 4<<20); err != nil {
			t.Fatal(err)
		}
		_, err := follow(filepath.Dir(path))
		if err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("follow with data at %d: got %v, want an error that says nothing was changed", at, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got[:len(theirs)], theirs) {
			t.Errorf("data at %d was changed (%v)", at, err)
		}
	}
}

// A commit whose sync fails is not acknowledged, and nothing is served any more.
func TestSyncFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0) // which does not support fsync
	if err != nil {
		t.Fatal(err)
	}
	var s *Store
	s = open(t, Options{Dir: t.TempDir(), commit: func(txn *engine.Txn) error {
		s.live.file = full
		return txn.Commit()
	}})
	if err := s.Commit(t.Context(), put("k", nil)); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, unix.EINVAL) {
		t.Errorf("Commit whose sync fails: got %v, want ErrUnavailable with EINVAL", err)
	}
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Get after a failed sync: got %v, want ErrUnavailable", err)
	}
}

// While the disk is full, commits that need more of the log are refused; they succeed again once there is room.
func TestNoRoomAhead(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var s *Store
	var isFull atomic.Bool
	var real live
	s = open(t, Options{Dir: t.TempDir(), free: func(string) (uint64, error) { // called by the writer before each transaction
		if isFull.Load() && s.live.file != full {
			real = *s.live
			s.live.file, s.live.ready = full, s.live.used
		}
		if !isFull.Load() && real.file != nil {
			*s.live = real
		}
		return DefaultMinFree, nil
	}})
	commit := func(key string) error { return s.Commit(context.Background(), put(key, []byte("v"))) }
	if err := commit("a"); err != nil {
		t.Fatal(err)
	}
	isFull.Store(true)
	for range 3 {
		if err := commit("b"); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("Commit to a full disk: got %v, want ErrUnavailable with ENOSPC", err)
		}
	}
	isFull.Store(false)
	if err := commit("c"); err != nil {
		t.Errorf("Commit after room was made: %v", err)
	}
	got, err := s.Get(t.Context(), "a", "b", "c")
	if err != nil || got[0].Version == 0 || got[1].Version != 0 || got[2].Version == 0 {
		t.Errorf("got %+v, %v, want a and c", got, err)
	}
}

// A process without free file descriptors still commits to the prepared log, refuses commits that need more of it, and
// recovers.
func TestNoDescriptorsLeft(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	if err := s.Commit(t.Context(), put("a", nil)); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	set := func(soft uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { set(limit.Cur) })
	set(1)
	if err := s.Commit(t.Context(), put("b", nil)); err != nil {
		t.Errorf("Commit to the prepared log: %v", err)
	}
	var err error
	for range 10 { // more than is prepared
		if err = s.Commit(t.Context(), put("c", make([]byte, store.MaxValue))); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, unix.EMFILE) {
		t.Errorf("Commits beyond the prepared log: got %v, want ErrUnavailable with EMFILE", err)
	}
	set(limit.Cur)
	if err := s.Commit(t.Context(), put("d", nil)); err != nil {
		t.Errorf("Commit with descriptors again: %v", err)
	}
}
