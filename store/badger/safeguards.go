//go:build !countersign_faults

package badger

import engine "github.com/dgraph-io/badger/v4"

// spoiled takes no safeguard away, outside a build for the fault harness (see safeguards_off.go).
func spoiled(o engine.Options) engine.Options { return o }
