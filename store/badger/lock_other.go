//go:build !(linux || darwin || freebsd)

package badger

import (
	"os"
	"path/filepath"
)

// InUse reports whether a process has the store in the directory open: Badger keeps a file open that cannot be removed
// meanwhile, and removes it on exit.
func InUse(dir string) bool {
	err := os.Remove(filepath.Join(dir, "LOCK"))
	return err != nil && !os.IsNotExist(err)
}
