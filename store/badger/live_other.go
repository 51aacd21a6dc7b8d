//go:build !linux

package badger

import "os"

// syncsItself is false: on these systems syncing a file may not include what was written through mappings, so Badger
// syncs its mappings itself.
const syncsItself = false

func syncData(f *os.File) error { return f.Sync() }

func isZero(*os.File, int64, int64) error { return nil }
