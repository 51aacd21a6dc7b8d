// Package durable makes files survive a crash, and reports success only if they do.
//
// An fsync alone is not enough on ext4. On an error the file system aborts its journal, and an fsync in progress at that
// moment may report success although the location of the file's new blocks was never recorded: after the next mount they
// are gone. About 7 of 100 failing disks acknowledged a write this way (see docs/reliability.md). So each function here
// ends with a change that needs the journal. If the journal was aborted, the change fails; if it succeeds, the journal
// was still alive after the fsync, so the fsync was truthful.
//
// The package never deletes or changes the files of others, and knows nothing of their contents.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Sync returns nil once the contents of a file, which must be open for writing, are durable. It does not cover the
// file's name: call SyncDir as well after creating or renaming a file.
func Sync(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return touchJournal(f)
}

// SyncDir makes the names in a directory durable: what was created, renamed or removed in it. Windows has no such call
// and needs none.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing the directory %s: %w", dir, err)
	}
	return Witness(dir)
}

// Witness returns nil if the file system of a directory still accepts changes. Then every fsync on it that returned before
// the call was truthful. Witness takes about 50 µs and does not wait for the disk.
func Witness(dir string) error {
	f, err := os.CreateTemp(dir, ".alive-*")
	if err != nil {
		return fmt.Errorf("the file system accepts no more changes: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// MkdirAll creates a directory and its missing parents, and returns once all their names are durable.
func MkdirAll(dir string, mode os.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent, mode); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, mode); err != nil { // another process may have created it meanwhile
		return err
	}
	return SyncDir(parent)
}

// WriteFile replaces the file at path atomically, and returns once the new file is durable. If it fails, the old file
// is unchanged.
func WriteFile(path string, contents []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(dir)
}
