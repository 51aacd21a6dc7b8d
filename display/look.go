package display

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/seed-dd2befc3/countersign/store"
)

// content is what is sealed of a display.
type content struct {
	lookers   lookers
	fragments []byte
}

const (
	maxLookers = 16 // people that a display knows to have looked at it; the first is forgotten for one more
	lookerSize = 16
)

// looker is a person, as a display knows them: a hash of the user id.
type looker [lookerSize]byte

func lookerOf(person string) looker {
	sum := sha256.Sum256([]byte("countersign looked at " + person))
	return looker(sum[:])
}

// lookers are the people who have looked at a display.
type lookers []looker

// with returns the people with one more, or one less.
func (l lookers) with(one looker, looked bool) lookers {
	rest := slices.DeleteFunc(slices.Clone(l), func(other looker) bool { return other == one })
	if !looked {
		return rest
	}
	if len(rest) >= maxLookers {
		rest = rest[1:]
	}
	return append(rest, one)
}

func (l lookers) encode(to []byte) []byte {
	to = append(to, byte(len(l))) //nolint:gosec // G115: at most maxLookers
	for _, one := range l {
		to = append(to, one[:]...)
	}
	return to
}

var errLookers = errors.New("malformed marks")

func decodeLookers(plain []byte) (found lookers, rest []byte, err error) {
	if len(plain) == 0 || int(plain[0]) > maxLookers || len(plain) < 1+int(plain[0])*lookerSize {
		return nil, nil, errLookers
	}
	n := int(plain[0])
	for i := range n {
		found = append(found, looker(plain[1+i*lookerSize:]))
	}
	return found, plain[1+n*lookerSize:], nil
}

// Look keeps with the displays of payloads that a person has looked at them, or has not. It expires with the display,
// and is nothing where there is none.
func (k *Keeper) Look(ctx context.Context, client, person string, payloads [][]byte, looked bool) error {
	for _, payload := range payloads {
		if err := k.look(ctx, place{client, payload}, lookerOf(person), looked); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) look(ctx context.Context, at place, person looker, looked bool) error {
	for {
		records, err := k.Store.Get(ctx, at.key())
		if err != nil || records[0].Version == 0 {
			return err
		}
		found, err := k.open(ctx, at, records[0].Value)
		if err != nil || found == nil || slices.Contains(found.lookers, person) == looked {
			return err
		}
		found.lookers = found.lookers.with(person, looked)
		record, err := k.seal(ctx, at, *found, records[0].Expires)
		if err != nil {
			return err
		}
		err = k.Store.Commit(ctx, store.Batch{
			If:   []store.Check{{Key: record.Key, Version: records[0].Version}},
			Then: []store.Op{{Put: &record}},
		})
		var conflict *store.Conflict
		if !errors.As(err, &conflict) || ctx.Err() != nil {
			return err
		}
	}
}
