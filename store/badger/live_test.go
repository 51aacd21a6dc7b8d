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

// TestWrittenBeforeUsed looks at the blocks of Badger's log at the moment when Badger has written a transaction and
// nothing is synced yet: each page that it has touched must lie in a block that was on the disk before. It goes through
// several logs, by transactions from a few bytes to 100 KB. Only the first transaction of a log is exempt: Badger makes a
// log and writes to it in one go.
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
			t.Errorf("%s: Badger has written up to %d, where %d was prepared", path, end, s.live.ready)
		}
		if blocks {
			for _, e := range pendingBlocks(t, path) {
				t.Errorf("%s: Badger has written up to %d, and no block is on the disk for %v", path, end, e)
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
		for _, e := range pendingBlocks(t, path) { // the writer may be writing ahead behind it
			if e.Logical < uint64(logs[path]) { //nolint:gosec // a place is not negative
				t.Errorf("%s: acknowledged up to %d, and no block is on the disk for %v", path, logs[path], e)
			}
		}
	}
	if len(logs) < 4 {
		t.Errorf("got %d logs, want several", len(logs))
	}
}

// smallLogs has Badger begin a new log after about a megabyte.
func smallLogs(o engine.Options) engine.Options {
	return o.WithMemTableSize(1 << 20).WithValueThreshold(128 << 10)
}

// liveLog is the log that Badger writes to.
func liveLog(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+logSuffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("logs in %s: %v, %v", dir, paths, err)
	}
	return slices.Max(paths)
}

// transactionAt is the length of the whole transaction that stands at a place in a log.
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
		t.Fatalf("%s holds no transaction at %d", path, at)
	}
	return int64(end)
}

// tellsBlocks says whether the file system tells which blocks of a file are on the disk and are overwritten in place.
// Elsewhere only what the store itself counts is checked.
func tellsBlocks(t *testing.T, dir string) bool {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	tells := st.Type == unix.EXT4_SUPER_MAGIC || st.Type == unix.XFS_SUPER_MAGIC
	if !tells {
		t.Logf("%s is on a file system of type %x: its blocks are not looked at", dir, st.Type)
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
	// Not yet allocated, or allocated and not yet written.
	unfinished = 0x2 | 0x4 | 0x800
)

// pendingBlocks are the parts of a file that hold something for which no written block is recorded.
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
		t.Fatalf("asking for the blocks of %s: %v", path, errno)
	}
	if m.Mapped == m.Count {
		t.Fatalf("%s has %d extents or more", path, m.Count)
	}
	return slices.DeleteFunc(m.Extents[:m.Mapped], func(e extent) bool { return e.Flags&unfinished == 0 })
}

// While nobody waits the store writes ahead again what a commit has used up.
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

// Nothing that stands in the log is overwritten, whoever wrote it.
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
			t.Errorf("with something at %d: %v", at, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got[:len(theirs)], theirs) {
			t.Errorf("what stood at %d is no more: %v", at, err)
		}
	}
}

// A commit whose sync fails is not acknowledged, and nothing is served any more.
func TestSyncFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0) // which knows no sync
	if err != nil {
		t.Fatal(err)
	}
	var s *Store
	s = open(t, Options{Dir: t.TempDir(), commit: func(txn *engine.Txn) error {
		s.live.file = full
		return txn.Commit()
	}})
	if err := s.Commit(t.Context(), put("k", nil)); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, unix.EINVAL) {
		t.Errorf("a commit that was not synced: %v", err)
	}
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("reading after it: %v", err)
	}
}

// A full disk refuses commits that need another piece, and takes them again when there is room.
func TestNoRoomAhead(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var s *Store
	var isFull atomic.Bool
	var real live
	s = open(t, Options{Dir: t.TempDir(), free: func(string) (uint64, error) { // asked by the writer, before each transaction
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
			t.Errorf("on a full disk: %v", err)
		}
	}
	isFull.Store(false)
	if err := commit("c"); err != nil {
		t.Errorf("once there is room: %v", err)
	}
	got, err := s.Get(t.Context(), "a", "b", "c")
	if err != nil || got[0].Version == 0 || got[1].Version != 0 || got[2].Version == 0 {
		t.Errorf("got %+v, %v, want a and c", got, err)
	}
}

// A process that has used up its file descriptors goes on committing where the log is prepared, refuses what needs more of
// it, and recovers.
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
		t.Errorf("a commit into the prepared log: %v", err)
	}
	var err error
	for range 10 { // more than is prepared
		if err = s.Commit(t.Context(), put("c", make([]byte, store.MaxValue))); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, unix.EMFILE) {
		t.Errorf("commits beyond the prepared log: %v", err)
	}
	set(limit.Cur)
	if err := s.Commit(t.Context(), put("d", nil)); err != nil {
		t.Errorf("with descriptors again: %v", err)
	}
}
