package keeper

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/store"
)

const (
	saidAgain = time.Hour      // how often a node without new heads reports that it is there
	silentFor = 24 * time.Hour // time without a report after which a node is silent
)

// roundIfUsed does a round unless every configuration has dropped its settings. Then the store may be closed already, and
// an error of it would mean nothing.
func (k *Keeper) roundIfUsed(ctx context.Context) {
	k.working.Lock()
	defer k.working.Unlock()
	k.mu.Lock()
	unused := k.unused
	k.mu.Unlock()
	if !unused {
		k.round(ctx, k.present().Store)
	}
}

// round compares the log with what the store remembers, stores the last head and what was handed outside, checks the other
// nodes, and removes files that are too old. The caller holds working.
func (k *Keeper) round(ctx context.Context, in store.Store) {
	err := k.log.Rename(ctx, k.present().Node)
	if err == nil {
		err = k.remember(ctx, in)
	}
	if err == nil {
		err = k.flush(ctx, in)
	}
	if err == nil {
		err = k.checkNodes(ctx, in)
	}
	if err == nil {
		err = k.retain(ctx, in)
	}
	if k.life.Err() != nil && ctx.Err() != nil {
		return // canceled by Close
	}
	logger := k.present().Logger
	if err != nil && !k.away {
		logger.LogAttrs(ctx, slog.LevelWarn, "could not store the state of the audit log; it is retried", slog.String("error", err.Error()))
	}
	k.away = err != nil
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = err
}

// remember stores the last head. The head stored before must be in the log; if it is not, the store remembers that as
// well, until it is back or retired.
func (k *Keeper) remember(ctx context.Context, in store.Store) error {
	health := k.log.Health()
	var found *Missing
	err := change(ctx, in, health.Node, func(node *Node) (changed bool, err error) {
		if found, changed, err = k.examine(node); err != nil {
			return false, err
		}
		recent := k.now().Sub(node.Seen).Abs() < saidAgain
		if health.Head.Number == 0 || (node.Head.Hash == health.Head.Hash && recent && node.Retired.IsZero()) {
			return changed, nil
		}
		node.Head, node.Seen, node.Retired = health.Head, k.now().UTC(), time.Time{}
		return true, nil
	})
	if err != nil {
		return err
	}
	if health.Head.Number > 0 {
		k.remembered = health.Head.Hash
	}
	if found != nil {
		k.report(ctx, *found)
	}
	return nil
}

// examine looks for the remembered head of a node in its log. A head that this process stored itself is there: the log
// makes sure that nobody else changes its files.
func (k *Keeper) examine(node *Node) (found *Missing, changed bool, err error) {
	if node.version == 0 || node.Head.Hash == k.remembered {
		return nil, false, nil
	}
	still, err := k.stillMissing(node.Missing)
	if err != nil {
		return nil, false, err
	}
	changed, node.Missing = len(still) != len(node.Missing), still
	what, err := k.compare(node.Head)
	known := func(m Missing) bool { return m.Head.Hash == node.Head.Hash }
	if err != nil || what == "" || slices.ContainsFunc(still, known) {
		return nil, changed, err
	}
	found = &Missing{Node: node.Node, What: what, Head: node.Head, Found: k.now().UTC()}
	node.Missing = append(node.Missing, *found)
	return found, true, nil
}

// stillMissing returns the latest of the missing logs that have not come back.
func (k *Keeper) stillMissing(missing []Missing) ([]Missing, error) {
	var left []Missing
	for _, m := range missing {
		what, err := k.compare(m.Head)
		if err != nil {
			return nil, err
		}
		if what != "" {
			left = append(left, m)
		}
	}
	return left[max(0, len(left)-maxMissing):], nil
}

// compare returns how the log differs from a remembered head of it; "" if it does not.
func (k *Keeper) compare(kept audit.Head) (Finding, error) {
	health := k.log.Health()
	entry, place, err := audit.Find(k.log.Dir, kept.Number)
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the audit log: %w", err)
	case place == audit.Removed, place == audit.There && entry.Hash == kept.Hash:
		return "", nil
	case health.Log == kept.Log && place == audit.Beyond:
		return Shorter, nil
	case health.Log != kept.Log && k.log.Began().After(kept.Time):
		return Gone, nil
	}
	return Another, nil
}

// report reports a missing log: in the process's log, and in the current audit log.
func (k *Keeper) report(ctx context.Context, m Missing) {
	k.present().Logger.LogAttrs(ctx, slog.LevelError, "the audit log is not as the store remembers it: find out who moved, cut or replaced it, put it back, or retire it",
		slog.String("node", m.Node), slog.String("what", string(m.What)), slog.Uint64("number", m.Head.Number), slog.String("hash", m.Head.Hash),
		slog.String("dir", k.log.Dir))
	if _, err := k.log.Append(ctx, audit.KindMissing, m); err != nil {
		k.present().Logger.LogAttrs(ctx, slog.LevelError, "could not record in the audit log that another is missing", slog.String("error", err.Error()))
	}
}

// checkNodes reads what is remembered of all nodes, and finds those whose logs are missing.
func (k *Keeper) checkNodes(ctx context.Context, in store.Store) error {
	all, err := nodes(ctx, in)
	if err != nil {
		return err
	}
	health, shared := k.log.Health(), k.present().Shared
	var missing []Missing
	var left []*Node
	for _, node := range all {
		renamed, err := k.formerName(ctx, in, node, health)
		if err != nil {
			return err
		}
		if renamed {
			continue
		}
		left = append(left, node)
		switch {
		case node.Node == health.Node:
			missing = append(missing, node.Missing...)
		case !node.Retired.IsZero():
		case !shared: // nobody else writes to this store, so nobody else has that log
			missing = append(missing, Missing{Node: node.Node, What: Gone, Head: node.Head, Found: node.Seen})
		case k.now().Sub(node.Seen) > silentFor:
			missing = append(missing, Missing{Node: node.Node, What: Silent, Head: node.Head, Found: node.Seen})
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range missing {
		known := func(other Missing) bool { return other.Node == m.Node && other.Head.Hash == m.Head.Hash }
		if m.Node != health.Node && !slices.ContainsFunc(k.missing, known) {
			k.settings[len(k.settings)-1].Logger.LogAttrs(ctx, slog.LevelError, "the audit log of another node is missing: if it will not come back, retire it",
				slog.String("node", m.Node), slog.String("what", string(m.What)), slog.Time("seen", m.Found))
		}
	}
	k.missing, k.nodes = missing, left
	return nil
}

// formerName removes what is remembered of this log under a previous name.
func (k *Keeper) formerName(ctx context.Context, in store.Store, node *Node, health audit.Health) (bool, error) {
	if node.Node == health.Node || node.Head.Log != health.Log {
		return false, nil
	}
	if what, err := k.compare(node.Head); err != nil || what != "" {
		return false, err
	}
	key := nodePrefix + node.Node
	return true, in.Commit(ctx, store.Batch{If: []store.Check{{Key: key, Version: node.version}}, Then: []store.Op{{Delete: key}}})
}
