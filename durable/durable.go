// Package durable makes files survive a crash, and reports success only for what does.
//
// An fsync alone is not enough on ext4. When the file system meets an error it aborts its journal, and an fsync that is
// under way at that moment may report success although the place of the new blocks in the file was never recorded: after
// the next mount they are gone. About 7 of 100 failing disks acknowledged a write in that way (see docs/reliability.md).
// So each function here ends by making a change that needs the journal. Once the journal is aborted such a change
// fails; if it succeeds, the journal was still alive after the fsync, and the fsync told the truth.
//
// The package never deletes or changes what others wrote, and knows nothing of what the files hold.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Sync returns nil when the contents of a file, which has to be open for writing, are durable. It says nothing about the
// file's name: after making or renaming a file call SyncDir as well.
func Sync(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return touchJournal(f)
}

// SyncDir makes the names in a directory durable: what was made, renamed or removed in it. Windows has no such call and
// needs none.
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

// Witness returns nil if the file system of a directory still takes changes. Every fsync on that file system that
// returned before the call was truthful then. It costs some 50 µs and waits for no disk.
func Witness(dir string) error {
	f, err := os.CreateTemp(dir, ".alive-*")
	if err != nil {
		return fmt.Errorf("the file system takes no more changes: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// MkdirAll makes a directory and those above it that are missing, and returns when the names of all it made are durable.
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
	if err := os.MkdirAll(dir, mode); err != nil { // somebody else may have made it meanwhile
		return err
	}
	return SyncDir(parent)
}

// WriteFile puts a file in place of what has that name, whole or not at all, and returns when it is durable. What
// stood there before stays if it fails.
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
