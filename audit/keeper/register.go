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

// Finding is the difference between a log and what is remembered of it.
type Finding string

// The findings.
const (
	Gone    Finding = "gone"        // nothing of it is left
	Shorter Finding = "shorter"     // it ends before the remembered head
	Another Finding = "another log" // it does not contain the remembered head
	Silent  Finding = "silent"      // its gateway was not heard of for a day
)

// Missing is a remembered log that is not there or not as remembered.
type Missing struct {
	Node  string     `json:"node"`
	What  Finding    `json:"what"`
	Head  audit.Head `json:"head"`  // the last remembered head
	Found time.Time  `json:"found"` // when this was found; for a silent node: when it was last heard of
}

// Node is what the store remembers of one node's log.
type Node struct {
	Node    string     `json:"node"`
	Head    audit.Head `json:"head"`              // the last head
	Seen    time.Time  `json:"seen"`              // when its gateway last reported it
	Retired time.Time  `json:"retired,omitzero"`  // when an operator declared that no more of it is expected
	Missing []Missing  `json:"missing,omitempty"` // earlier logs of this node

	version store.Version
}

const (
	nodeIndex  = "audit/nodes"
	nodePrefix = "audit/node/"
	maxMissing = 16 // missing logs remembered per node
	maxNodes   = 1000
)

func (n *Node) op() (store.Op, error) {
	value, err := json.Marshal(n)
	return store.Op{Put: &store.Record{Key: nodePrefix + n.Node, Value: value, Index: nodeIndex}}, err
}

// load reads the record of a node. If there is none, its version is 0.
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

// change reads the record of a node, has apply change it, and commits it, starting over if another node changed it
// meanwhile. If apply reports no change, nothing is committed.
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

// nodes returns all records, ordered by name.
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
