package keeper

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-dd2befc3/countersign/audit"
)

// ErrNotRemembered is returned by Retire for a node of which nothing is remembered.
var ErrNotRemembered = errors.New("the store remembers no audit log of this node")

// ErrPresent is returned by Retire for the gateway's own node if its log is as remembered.
var ErrPresent = errors.New("this is the gateway's own log, which is as remembered: there is nothing to retire")

// retirement is the record of a retirement in the audit log.
type retirement struct {
	Node    string     `json:"node"`
	Head    audit.Head `json:"head"` // the last remembered head
	Missing []Missing  `json:"missing,omitempty"`
}

// Retire retires a node's log: it is no longer reported as missing. For the gateway's own node, it retires the logs before
// the current one. The audit log records it, with the remembered heads.
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
		return fmt.Errorf("the log is retired, but the audit log has no record of it: %w", err)
	}
	return k.checkNodes(ctx, in)
}
