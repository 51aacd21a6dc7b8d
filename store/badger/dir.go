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

// prepareDir makes the directory if it is missing, and sees to it that only its owner gets in. It returns its
// absolute path.
func prepareDir(dir string, log *slog.Logger) (string, error) {
	if dir == "" {
		return "", errors.New("a store needs a directory")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return "", unavailable("making the store's directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", unavailable("looking at the store's directory: %w", err)
	}
	if err := ours(dir); err != nil {
		return "", err
	}
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return dir, nil
	}
	log.Warn("others could look into the store's directory; now only its owner can", slog.String("dir", dir))
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs its x
		return "", unavailable("keeping %s to its owner: %w", dir, err)
	}
	return dir, nil
}

// Exists says whether there is a store in the directory, or what is left of one.
func Exists(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == manifestName || filepath.Ext(e.Name()) == logSuffix || filepath.Ext(e.Name()) == ".sst"
	}), err
}

// markOpen leaves openMark in the directory. By then a log stands there, of which it makes sure as well.
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

// ours refuses a directory with files that are no database's, before anything is changed about it.
func ours(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return unavailable("looking into the store's directory: %w", err)
	}
	others := 0
	for _, e := range entries {
		switch e.Name() {
		case "MANIFEST", "LOCK":
			return nil
		case "lost+found": // at the root of a disk of its own
		default:
			others++
		}
	}
	if others == 0 {
		return nil
	}
	return fmt.Errorf("%s is neither empty nor a store: give the store a directory of its own", dir)
}
