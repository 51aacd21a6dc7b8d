package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/durable"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/badger"
)

// The writers that promise to keep things, each by itself, in a process of its own that a fault can be the end of.
var writers = map[string]struct {
	write   func(dir string, kept func(n int)) error       // until it fails; calls back with each number that is durable
	missing func(t testing.TB, dir string, kept []int) int // how many of those numbers are not there
}{
	"store":     {writeStore, missingFromStore},
	"append":    {writeLines(durable.Sync), missingLines},
	"replace":   {writeFiles, missingFiles},
	"unguarded": {writeLines((*os.File).Sync), missingLines},
}

// TestStoreWriter has the disk fail in itself under the embedded store alone, which commits from eight goroutines and
// begins a new log every thousand commits or so. A round takes a second or two, and far more is acknowledged in it than by
// a gateway.
func TestStoreWriter(t *testing.T) { mustKeepAll(t, "store", failUnder) }

// TestAppendWriter does the same to a file that is appended to, as the audit log is.
func TestAppendWriter(t *testing.T) { mustKeepAll(t, "append", failUnder) }

// TestReplaceWriter does the same to files that take each other's place, as the gateway's own keys do.
func TestReplaceWriter(t *testing.T) { mustKeepAll(t, "replace", failUnder) }

// TestPoweredWriters cuts the power of the disk under each of them.
func TestPoweredWriters(t *testing.T) {
	for _, name := range []string{"store", "append", "replace"} {
		t.Run(name, func(t *testing.T) { mustKeepAll(t, name, cutPowerUnder) })
	}
}

func mustKeepAll(t *testing.T, name string, strike func(d *disk, victim *exec.Cmd)) {
	t.Helper()
	n := rounds(t, 3)
	acknowledged, lost := strikeOften(t, name, n, strike)
	t.Logf("%s: %d faults; acknowledged: %d; lost: %d", t.Name(), n, acknowledged, lost)
	if lost > 0 {
		t.Errorf("got %d lost of %d, want none", lost, acknowledged)
	}
}

// TestUnguardedWriter proves that the others notice a loss: some 7 of 100 failing disks acknowledge an appended line that
// is not there when a bare fsync is believed. It needs a hundred rounds, for which only `make proof` asks.
func TestUnguardedWriter(t *testing.T) {
	n := rounds(t, 0)
	if n < 100 {
		return
	}
	acknowledged, lost := strikeOften(t, "unguarded", n, failUnder)
	t.Logf("%s: %d faults; acknowledged: %d; lost: %d", t.Name(), n, acknowledged, lost)
	if lost == 0 {
		t.Error("a bare fsync lost nothing, so this says nothing about the others")
	}
}

// failUnder has the disk fail under a writer, and mends it.
func failUnder(d *disk, victim *exec.Cmd) {
	d.fail()
	d.must(victim.Process.Kill())
	_ = victim.Wait() // killed
	d.repair()
}

// cutPowerUnder has the disk lose its power under a writer.
func cutPowerUnder(d *disk, victim *exec.Cmd) {
	d.must(victim.Process.Signal(syscall.SIGSTOP))
	d.losePower(func() {
		d.must(victim.Process.Kill())
		_ = victim.Wait() // killed
	})
}

// strikeOften breaks so many disks under a writer. It returns what was acknowledged, and what of it was lost.
func strikeOften(t *testing.T, name string, n int, strike func(d *disk, victim *exec.Cmd)) (acknowledged, lost int) {
	t.Helper()
	for made := 0; made < n; {
		d := newDisk(t)
		for range min(perWorld, n-made) {
			kept := strikeOnce(t, d, name, strike)
			dir := filepath.Join(d.dir, name)
			missing := writers[name].missing(t, dir, kept)
			if missing > 0 {
				t.Logf("fault %d: %d of %d are lost", made+1, missing, len(kept))
			}
			acknowledged, lost, made = acknowledged+len(kept), lost+missing, made+1
			d.must(os.RemoveAll(dir))
		}
		d.leave()
	}
	return acknowledged, lost
}

// strikeOnce breaks the disk under a writer at a random moment, and returns what the writer had kept.
func strikeOnce(t *testing.T, d *disk, name string, strike func(d *disk, victim *exec.Cmd)) (kept []int) {
	t.Helper()
	dir := filepath.Join(d.dir, name)
	d.must(durable.MkdirAll(dir, 0o700))
	said, say, err := os.Pipe()
	d.must(err)
	defer said.Close()
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"="+name+":"+dir)
	victim.Stdout, victim.Stderr = say, os.Stderr
	d.must(errors.Join(victim.Start(), say.Close()))
	begun, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Errorf("the writer %q said %q", name, lines.Text())
			}
			if kept = append(kept, n); len(kept) == 1 {
				close(begun)
			}
		}
	}()
	select {
	case <-begun:
	case <-time.After(patience):
		t.Fatalf("the writer %q has kept nothing", name)
	}
	pause(0, 500*time.Millisecond)
	strike(d, victim)
	<-read
	return kept
}

// victimVariable has the test binary be a writer: its name and its directory.
const victimVariable = "COUNTERSIGN_TEST_WRITER"

// beWriter writes until it is killed, and prints each number that is kept.
func beWriter(nameAndDir string) {
	name, dir, _ := strings.Cut(nameAndDir, ":")
	var mu sync.Mutex
	_ = writers[name].write(dir, func(n int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(os.Stdout, n)
	})
	<-time.After(time.Hour) // to be killed
}

// contentOf is what a number is kept as: now and then something large.
func contentOf(n int) []byte {
	size := 100 + n*37%4000
	if n%20 == 7 {
		size = 400_000
	}
	return bytes.Repeat(fmt.Appendf(nil, "%09d ", n), size/10)
}

func openStore(dir string) (*badger.Store, error) {
	return badger.Open(context.Background(), badger.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), MinFree: 1 << 20})
}

func writeStore(dir string, kept func(n int)) error {
	s, err := openStore(dir)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := worker; ; n += 8 {
				r := store.Record{Key: strconv.Itoa(n), Value: contentOf(n)}
				if s.Commit(context.Background(), store.Batch{Then: []store.Op{{Put: &r}}}) != nil {
					return
				}
				kept(n)
			}
		})
	}
	all.Wait()
	return nil
}

func missingFromStore(t testing.TB, dir string, kept []int) (missing int) {
	t.Helper()
	s, err := openStore(dir)
	if err != nil {
		t.Errorf("after the disk was mended the store does not open: %v", err)
		return len(kept)
	}
	for _, n := range kept {
		found, err := s.Get(t.Context(), strconv.Itoa(n))
		if err != nil || !bytes.Equal(found[0].Value, contentOf(n)) {
			missing++
		}
	}
	_ = s.Close() // which gives up after a while on a slow machine
	return missing
}

// writeLines appends to one file.
func writeLines(sync func(*os.File) error) func(dir string, kept func(n int)) error {
	return func(dir string, kept func(n int)) error {
		f, err := os.OpenFile(filepath.Join(dir, "lines"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
		for n := 0; ; n++ {
			if _, err := f.Write(append(contentOf(n), '\n')); err != nil {
				return err
			}
			if err := sync(f); err != nil {
				return err
			}
			kept(n)
		}
	}
}

func missingLines(t testing.TB, dir string, kept []int) int {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "lines"))
	if err != nil {
		t.Error(err)
		return len(kept)
	}
	defer f.Close()
	whole := 0 // lines up to the first that is not
	for lines := bufio.NewReader(f); ; whole++ {
		line, err := lines.ReadBytes('\n')
		if err != nil || !bytes.Equal(bytes.TrimSuffix(line, []byte("\n")), contentOf(whole)) {
			return max(len(kept)-whole, 0) // each line is kept before the next is written
		}
	}
}

// writeFiles gives a hundred names by turns to new files.
func writeFiles(dir string, kept func(n int)) error {
	for n := 0; ; n++ {
		if err := durable.WriteFile(filepath.Join(dir, strconv.Itoa(n%100)), contentOf(n), 0o600); err != nil {
			return err
		}
		kept(n)
	}
}

// missingFiles takes a later file at the same name for the one that it replaced.
func missingFiles(_ testing.TB, dir string, kept []int) (missing int) {
	for _, n := range kept {
		b, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(n%100)))
		if err != nil || len(b) < 9 {
			missing++
			continue
		}
		found, err := strconv.Atoi(string(b[:9]))
		if err != nil || found < n || found%100 != n%100 || !bytes.Equal(b, contentOf(found)) {
			missing++
		}
	}
	return missing
}
