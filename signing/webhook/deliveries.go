package webhook

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Next is when a delivery that is waiting or pending is looked at next.
func (d *Delivery) Next() time.Time { return d.due }

// Expires is when a dead letter is dropped.
func (d *Delivery) Expires() time.Time { return d.expires }

// List returns deliveries in one state, in the order of their ids, those after the id given, from at most limit
// records. more is the id to go on after, or "" after the last one.
func List(ctx context.Context, from store.Store, state State, after string, limit int) (found []*Delivery, more string, err error) {
	if after != "" {
		after = keyOf(after)
	}
	records, err := from.List(ctx, indexOf(state), after, limit)
	if err != nil {
		return nil, "", err
	}
	for n := range records {
		if delivery, err := parse(&records[n]); err == nil { // a damaged one is told of by whoever claims it
			found = append(found, delivery)
		}
		if n == limit-1 {
			more = strings.TrimPrefix(records[n].Key, keyPrefix)
		}
	}
	return found, more, nil
}

// Find returns one delivery; nil where there is none.
func Find(ctx context.Context, from store.Store, id string) (*Delivery, error) {
	records, err := from.Get(ctx, keyOf(id))
	if errors.Is(err, store.ErrInvalid) { // no id is that long
		return nil, nil
	}
	if err != nil || records[0].Version == 0 {
		return nil, err
	}
	return parse(&records[0])
}

// ErrNothingToReplay says that nothing has happened yet that a delivery could tell of.
var ErrNothingToReplay = errors.New("nothing has happened yet that could be told; it is still waiting")

// Replay makes a delivery due now, whatever has become of it, with all of its time before it and the same id. It returns
// nil where there is none.
func (d *Dispatcher) Replay(ctx context.Context, id string) (*Delivery, error) {
	for {
		delivery, err := Find(ctx, d.Store, id)
		if err != nil || delivery == nil {
			return nil, err
		}
		if delivery.State == Waiting {
			return delivery, ErrNothingToReplay
		}
		now := d.Now()
		delivery.State, delivery.Since, delivery.Failures, delivery.Ended, delivery.Why = Pending, now, 0, time.Time{}, ""
		delivery.due = now
		batch, err := delivery.change()
		if err != nil {
			return nil, err
		}
		err = d.Store.Commit(ctx, batch)
		var conflict *store.Conflict
		if errors.As(err, &conflict) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		d.Wake(delivery.Client)
		return delivery, nil
	}
}

// ReplayDead replays every dead letter, or only those of one client, and returns how many there were.
func (d *Dispatcher) ReplayDead(ctx context.Context, client string) (replayed int, err error) {
	for after := ""; ; {
		found, more, err := List(ctx, d.Store, Dead, after, watchPage)
		if err != nil {
			return replayed, err
		}
		for _, delivery := range found {
			if client != "" && delivery.Client != client {
				continue
			}
			again, err := d.Replay(ctx, delivery.ID)
			if err != nil {
				return replayed, err
			}
			if again != nil {
				replayed++
			}
		}
		if after = more; more == "" {
			return replayed, nil
		}
	}
}
