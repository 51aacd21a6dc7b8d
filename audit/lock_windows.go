//go:build windows

package audit

import "os"

// lockFile opens the file that marks the log as in use. Windows has no flock, so a second process goes unnoticed.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
