//go:build !linux

package badger

import "os"

// syncsItself is false: whether the sync of a file includes what was written to it through memory is the system's own
// affair, so Badger syncs what it has mapped.
const syncsItself = false

func syncData(f *os.File) error { return f.Sync() }

func isZero(*os.File, int64, int64) error { return nil }
