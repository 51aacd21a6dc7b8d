//go:build countersign_faults

package badger

import (
	"os"

	engine "github.com/dgraph-io/badger/v4"
)

// spoiled takes away the safeguard that the variable names, so that the fault harness (see test/faults) can be seen to
// notice. Nothing but that harness builds this file.
func spoiled(o engine.Options) engine.Options {
	if os.Getenv("COUNTERSIGN_FAULT") == "no-sync" {
		return o.WithSyncWrites(false)
	}
	return o
}
