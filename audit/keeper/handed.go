package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/store"
)

// Handed is a position of a log that was handed outside: to a client, with a webhook, or to somebody else by an operator.
// From then on the log up to there cannot be rewritten unnoticed, whatever keys are used, so files may be removed up to
// it and no further.
type Handed struct {
	audit.Position
	To   string    `json:"to"`
	Time time.Time `json:"time"`
}

const handedPrefix = "audit/handed/"

// ErrNotContained is returned by Acknowledge for a position that is not in the log.
var ErrNotContained = errors.New("the audit log does not contain this head")

// HandOutside records that a position of this node's log, or of another's, was taken. It is stored in the next round. A
// crash before that forgets it, which the next position handed outside makes up for.
func (k *Keeper) HandOutside(p audit.Position, to string) {
	if audit.CheckNode(p.Node) != nil || p.Number == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.handing[p.Node].Number < p.Number {
		k.handing[p.Node] = Handed{Position: p, To: to, Time: k.now().UTC()}
	}
}

// Acknowledge records an operator's statement that a head of this log is kept outside. The audit log records it too.
func (k *Keeper) Acknowledge(ctx context.Context, p audit.Position, to string) error {
	k.working.Lock()
	defer k.working.Unlock()
	if own := k.log.Health().Node; p.Node != "" && p.Node != own {
		return fmt.Errorf("%w: it is of node %s, and this is the gateway of %s", ErrNotContained, p.Node, own)
	} else if p.Node == "" {
		p.Node = own
	}
	contained, err := k.contains(p)
	if err == nil && !contained {
		err = ErrNotContained
	}
	if err != nil {
		return err
	}
	said := Handed{Position: p, To: to, Time: k.now().UTC()}
	if _, err := k.log.Append(ctx, audit.KindHanded, said); err != nil {
		return err
	}
	defer k.signal() // files may be waiting for it
	return k.keepHanded(ctx, k.present().Store, said)
}

func (k *Keeper) contains(p audit.Position) (bool, error) {
	entry, place, err := audit.Find(k.log.Dir, p.Number)
	return err == nil && place == audit.There && entry.Hash == p.Hash, err
}

// flush stores what was handed outside since the last round.
func (k *Keeper) flush(ctx context.Context, in store.Store) error {
	k.mu.Lock()
	waiting := k.handing
	k.handing = map[string]Handed{}
	k.mu.Unlock()
	for node, handed := range waiting {
		err := k.keepHanded(ctx, in, handed)
		if err == nil {
			delete(waiting, node)
			continue
		}
		for _, left := range waiting {
			k.HandOutside(left.Position, left.To)
		}
		return err
	}
	return nil
}

// keepHanded stores the furthest position of a log that was handed outside.
func (k *Keeper) keepHanded(ctx context.Context, in store.Store, handed Handed) error {
	for {
		known, version, err := readHanded(ctx, in, handed.Node)
		if err != nil {
			return err
		}
		if known != nil && known.Number >= handed.Number && (handed.Node != k.log.Health().Node || k.isOurs(*known)) {
			return nil
		}
		value, err := json.Marshal(handed)
		if err != nil {
			return err
		}
		key := handedPrefix + handed.Node
		err = in.Commit(ctx, store.Batch{
			If: []store.Check{{Key: key, Version: version}}, Then: []store.Op{{Put: &store.Record{Key: key, Value: value}}},
		})
		if !errors.As(err, new(*store.Conflict)) || ctx.Err() != nil {
			return err
		}
	}
}

// isOurs reports whether a position is of this log, and not of an earlier one with the same name.
func (k *Keeper) isOurs(handed Handed) bool {
	contained, err := k.contains(handed.Position)
	return err != nil || contained
}

func readHanded(ctx context.Context, from store.Store, node string) (*Handed, store.Version, error) {
	records, err := from.Get(ctx, handedPrefix+node)
	if err != nil || records[0].Version == 0 {
		return nil, 0, err
	}
	found := &Handed{}
	if err := json.Unmarshal(records[0].Value, found); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", records[0].Key, err)
	}
	return found, records[0].Version, nil
}
