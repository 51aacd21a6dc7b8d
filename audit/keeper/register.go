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

// Finding says how a log differs from what is remembered of it.
type Finding string

// The findings.
const (
	Gone    Finding = "gone"        // nothing is left of it
	Shorter Finding = "shorter"     // it ends before the head that is remembered
	Another Finding = "another log" // it does not contain the head that is remembered
	Silent  Finding = "silent"      // its gateway has not been heard of for a day
)

// Missing is a log that is remembered and is not there as it was.
type Missing struct {
	Node  string     `json:"node"`
	What  Finding    `json:"what"`
	Head  audit.Head `json:"head"`  // the last one that is remembered
	Found time.Time  `json:"found"` // when this was found; of a silent one: when it was heard of last
}

// Node is what the store remembers of one node's log.
type Node struct {
	Node    string     `json:"node"`
	Head    audit.Head `json:"head"`              // the last one
	Seen    time.Time  `json:"seen"`              // when its gateway last said so
	Retired time.Time  `json:"retired,omitzero"`  // an operator has said that no more of it is to be expected
	Missing []Missing  `json:"missing,omitempty"` // logs that this node had before

	version store.Version
}

const (
	nodeIndex  = "audit/nodes"
	nodePrefix = "audit/node/"
	maxMissing = 16 // logs of one node that are remembered as missing
	maxNodes   = 1000
)

func (n *Node) op() (store.Op, error) {
	value, err := json.Marshal(n)
	return store.Op{Put: &store.Record{Key: nodePrefix + n.Node, Value: value, Index: nodeIndex}}, err
}

// load reads the record of a node; one that is not there has the version 0.
func load(ctx context.Context, from store.Store, node string) (*Node, error) {
	records, err := from.Get(ctx, nodePrefix+node)
	if err != nil {
		return nil, err
	}
	if records[0].Version == 0 {
		return &Node{Node: node}, nil
	}
	return parse(records[0])
}

func parse(record store.Record) (*Node, error) {
	found := &Node{}
	if err := json.Unmarshal(record.Value, found); err != nil {
		return nil, fmt.Errorf("%s: %w", record.Key, err)
	}
	found.version = record.Version
	return found, nil
}

// change reads the record of a node, lets the caller change it, and commits it if nobody else did meanwhile; else it
// starts over. Nothing is committed where the caller says that nothing changed.
func change(ctx context.Context, in store.Store, node string, apply func(*Node) (changed bool, err error)) error {
	for {
		found, err := load(ctx, in, node)
		if err != nil {
			return err
		}
		changed, err := apply(found)
		if err != nil || !changed {
			return err
		}
		put, err := found.op()
		if err != nil {
			return err
		}
		err = in.Commit(ctx, store.Batch{If: []store.Check{{Key: nodePrefix + node, Version: found.version}}, Then: []store.Op{put}})
		if !errors.As(err, new(*store.Conflict)) || ctx.Err() != nil {
			return err
		}
	}
}

// nodes lists all records, in the order of their names.
func nodes(ctx context.Context, from store.Store) ([]*Node, error) {
	records, err := from.List(ctx, nodeIndex, "", maxNodes)
	if err != nil {
		return nil, err
	}
	all := make([]*Node, 0, len(records))
	for _, record := range records {
		found, err := parse(record)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}
