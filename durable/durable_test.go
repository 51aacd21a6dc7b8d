package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/seed-dd2befc3/countersign/durable"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, contents := range []string{"first", "", "third"} {
		if err := durable.WriteFile(path, []byte(contents), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != contents {
			t.Errorf("got %q, %v, want %q", got, err, contents)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, %v, want 0640", info.Mode(), err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "none", "a"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteFile in a directory that does not exist: got %v, want fs.ErrNotExist", err)
	}
	holdsOnly(t, dir, "a")
}

// If the new file cannot replace what is at path, that stays and no other file is left.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o600); err == nil {
		t.Error("WriteFile over a directory: got no error, want one")
	}
	holdsOnly(t, dir, "a")
}

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	for range 2 {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("got %v, %v, want a directory of mode 0700", info, err)
		}
	}
	holdsOnly(t, root, "a")
	holdsOnly(t, filepath.Join(root, "a", "b"), "c")
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if err := durable.MkdirAll(dir, 0o700); err == nil {
			t.Errorf("MkdirAll(%s): got no error, want one, as a file is in the way", dir)
		}
	}
}

func TestSync(t *testing.T) {
	dir := t.TempDir()
	f, err := os.OpenFile(filepath.Join(dir, "a"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 3 {
		if _, err := f.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(durable.Sync(f), durable.SyncDir(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(f.Name()); err != nil || string(got) != "line\nline\nline\n" {
		t.Errorf("got %q, %v after the syncs, want the file unchanged", got, err)
	}
	holdsOnly(t, dir, "a")
	read, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := durable.Sync(read); runtime.GOOS == "linux" && err == nil {
		t.Error("Sync of a read-only file: got no error, so the file system was not checked after the fsync")
	}
	if err := errors.Join(f.Close(), durable.Sync(f)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Sync of a closed file: got %v, want %v", err, os.ErrClosed)
	}
	if err := durable.SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SyncDir of a directory that does not exist: got %v, want %v", err, fs.ErrNotExist)
	}
}

func holdsOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("got directory entries %v, %v, want only %q", entries, err, name)
	}
}
