package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/seed-dd2befc3/countersign/durable"
)

// prepareDir creates the directory if it is missing, restricts it to its owner, and returns its absolute path.
func prepareDir(dir string, log *slog.Logger) (string, error) {
	if dir == "" {
		return "", errors.New("no directory given for the store")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return "", unavailable("creating the store's directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", unavailable("reading the store's directory: %w", err)
	}
	if err := ours(dir); err != nil {
		return "", err
	}
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return dir, nil
	}
	log.Warn("others had access to the store's directory; it is now restricted to only its owner", slog.String("dir", dir))
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs its x
		return "", unavailable("restricting %s to its owner: %w", dir, err)
	}
	return dir, nil
}

// Exists reports whether the directory has a store, or the remains of one.
func Exists(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == manifestName || filepath.Ext(e.Name()) == logSuffix || filepath.Ext(e.Name()) == ".sst"
	}), err
}

// markOpen creates openMark in the directory. By then there is a log, whose directory entry it also makes durable.
func markOpen(dir string) error {
	if err := writeSynced(filepath.Join(dir, openMark), nil); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

func unmarkOpen(dir string) error {
	err := os.Remove(filepath.Join(dir, openMark))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncDir(dir))
}

// ours rejects a directory with files that do not belong to a store, before anything in it is changed.
func ours(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return unavailable("reading the store's directory: %w", err)
	}
	others := 0
	for _, e := range entries {
		switch e.Name() {
		case "MANIFEST", "LOCK":
			return nil
		case "lost+found": // at the root of a file system
		default:
			others++
		}
	}
	if others == 0 {
		return nil
	}
	return fmt.Errorf("%s is neither empty nor a store: give the store a directory of its own", dir)
}
