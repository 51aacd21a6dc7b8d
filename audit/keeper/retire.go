package keeper

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-dd2befc3/countersign/audit"
)

// ErrNotRemembered is what Retire gives for a node that nothing is remembered of.
var ErrNotRemembered = errors.New("the store remembers no audit log of this node")

// ErrPresent is what Retire gives for this gateway's own node, whose log is as it is remembered.
var ErrPresent = errors.New("this is the gateway's own log, which is as remembered: there is nothing to retire")

// retirement is the record of one in the audit log.
type retirement struct {
	Node    string     `json:"node"`
	Head    audit.Head `json:"head"` // the last one that was remembered
	Missing []Missing  `json:"missing,omitempty"`
}

// Retire ends a node's log: that it is missing is told no more. Of this gateway's own node it ends the logs before the
// present one. The audit log says so, with the heads that were remembered.
func (k *Keeper) Retire(ctx context.Context, node string) error {
	k.working.Lock()
	defer k.working.Unlock()
	if err := audit.CheckNode(node); err != nil {
		return err
	}
	in, own := k.present().Store, k.log.Health().Node
	var said retirement
	err := change(ctx, in, node, func(of *Node) (bool, error) {
		switch {
		case of.version == 0:
			return false, ErrNotRemembered
		case node == own && len(of.Missing) == 0:
			return false, ErrPresent
		}
		said = retirement{Node: node, Head: of.Head, Missing: of.Missing}
		of.Missing = nil
		if node != own {
			of.Retired = k.now().UTC()
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if _, err := k.log.Append(ctx, audit.KindRetired, said); err != nil {
		return fmt.Errorf("it is retired, but the audit log does not say so: %w", err)
	}
	return k.look(ctx, in)
}
