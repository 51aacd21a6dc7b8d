//go:build countersign_faults

// What only the fault harness builds (see test/faults), to see that it would notice when a safeguard is missing.

package badger

import (
	"os"

	engine "github.com/dgraph-io/badger/v4"
)

// fault names the safeguard that is taken away.
func fault() string { return os.Getenv("COUNTERSIGN_FAULT") }

// spoiled writes without waiting for the disk.
func spoiled(o engine.Options) engine.Options {
	return o.WithSyncWrites(o.SyncWrites && !unsynced())
}

// unsynced says that nothing is synced.
func unsynced() bool { return fault() == "no-sync" }

// heeded passes over damage, as Badger itself does.
func heeded(losses []Loss) []Loss {
	if fault() == "lenient" {
		return nil
	}
	return losses
}
