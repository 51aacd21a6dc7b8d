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
		t.Errorf("in a directory that does not exist: %v", err)
	}
	holdsOnly(t, dir, "a")
}

// What stands at the name stays if the new file cannot take its place, and nothing else is left behind.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o600); err == nil {
		t.Error("a file took the place of a directory")
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
			t.Errorf("%s was made, where a file is", dir)
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
		t.Errorf("syncing changed the file: got %q, %v", got, err)
	}
	holdsOnly(t, dir, "a")
	read, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := durable.Sync(read); runtime.GOOS == "linux" && err == nil {
		t.Error("got a file synced that cannot be changed, so nothing was asked of the file system after the fsync")
	}
	if err := errors.Join(f.Close(), durable.Sync(f)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("syncing a closed file: got %v, want %v", err, os.ErrClosed)
	}
	if err := durable.SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("syncing a directory that does not exist: got %v, want %v", err, fs.ErrNotExist)
	}
}

func holdsOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("the directory holds %v, %v, want only %q", entries, err, name)
	}
}
