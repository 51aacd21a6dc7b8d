package caddymodule

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// checkDirs refuses directories that are equal or nested, because the files of one would be taken for the other's, or be
// copied and removed with them.
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
		return fmt.Errorf("countersign: audit dir %s and the store's directory %s are nested: give each its own directory", dir, embedded.Path)
	}
	return nil
}

// liesIn reports whether path is the directory or below it.
func liesIn(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// needDir refuses a path that exists but is not a directory. A missing directory is made later.
func needDir(what, path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s %s is a file, want a directory: use another path, or move the file away", what, path)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s %s: a parent in the path is a file, want a directory: use another path", what, path)
	}
	return nil
}
