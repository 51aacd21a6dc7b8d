//go:build countersign_faults

// Only the fault harness builds this file (see test/faults), to prove that it notices a missing safeguard.

package badger

import (
	"os"

	engine "github.com/dgraph-io/badger/v4"
)

// fault returns the name of the safeguard that is removed.
func fault() string { return os.Getenv("COUNTERSIGN_FAULT") }

// spoiled returns options that write without waiting for the disk.
func spoiled(o engine.Options) engine.Options {
	return o.WithSyncWrites(o.SyncWrites && !unsynced())
}

// unsynced reports whether syncing is turned off.
func unsynced() bool { return fault() == "no-sync" }

// heeded ignores damage, as Badger itself does.
func heeded(losses []Loss) []Loss {
	if fault() == "lenient" {
		return nil
	}
	return losses
}
