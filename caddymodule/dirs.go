package caddymodule

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// checkDirs refuses directories that are one another's, or within: what lies there would be taken for the other's, or be copied and
// removed with it.
func (a *App) checkDirs() error {
	embedded, is := a.engine.(*Badger)
	if !is || a.Audit.Off {
		return nil
	}
	dir, err := a.Audit.Path()
	if err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	if liesIn(dir, embedded.Path) || liesIn(embedded.Path, dir) {
		return fmt.Errorf("countersign: audit dir %s and the store's directory %s lie within each other; give each a directory of its own", dir, embedded.Path)
	}
	return nil
}

// liesIn says whether a path is a directory or lies in it.
func liesIn(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// needDir refuses a path where a directory is meant and something else is. One that is not there yet is made later.
func needDir(what, path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s %s is a file, where a directory is meant; name another path, or move the file away", what, path)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s %s: a part of the path is a file, where a directory is meant; name another path", what, path)
	}
	return nil
}
