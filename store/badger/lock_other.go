//go:build !(linux || darwin || freebsd)

package badger

import (
	"os"
	"path/filepath"
)

// InUse says whether somebody has the store in the directory open: Badger holds a file there open that cannot be
// removed meanwhile, and removes it when it ends.
func InUse(dir string) bool {
	err := os.Remove(filepath.Join(dir, "LOCK"))
	return err != nil && !os.IsNotExist(err)
}
