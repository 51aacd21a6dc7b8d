//go:build !countersign_faults

package caddymodule

import (
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// clock is the gateway's clock. Only a fault build (see faults.go) has another one.
func clock() func() time.Time { return time.Now }

// spoiled takes no safeguard away, outside a fault build.
func spoiled(s store.Store) store.Store { return s }
