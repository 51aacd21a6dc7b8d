package jwks

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// ringKeys are the keys of a Ring, oldest first. A key signs from its From until the next one's From.
type ringKeys []ringKey

type ringKey struct {
	KID  string    `json:"kid"`  // RFC 7638 thumbprint
	Seed []byte    `json:"seed"` // RFC 8032 private key, in base64
	From time.Time `json:"from"`

	private ed25519.PrivateKey
}

// ringEntry is the encoding of the vault entry.
type ringEntry struct {
	Version int      `json:"version"`
	Keys    ringKeys `json:"keys"`
}

// signing returns the index of the key that signs now: the last one whose From has passed. If the clock is
// behind that of the node that generated the first key, the first key signs.
func (k ringKeys) signing(now time.Time) int {
	for i := len(k) - 1; i > 0; i-- {
		if !now.Before(k[i].From) {
			return i
		}
	}
	return 0
}

// published returns the keys that are not gone: a former key stays for overlap after its successor starts signing.
func (k ringKeys) published(now time.Time, overlap time.Duration) ringKeys {
	oldest := k.signing(now)
	for oldest > 0 && now.Before(k[oldest].From.Add(overlap)) {
		oldest--
	}
	return k[oldest:]
}

// due reports whether another key must be generated: there is none, or the last one must soon be replaced.
func (k ringKeys) due(now time.Time, rotate, overlap time.Duration) bool {
	return len(k) == 0 || !now.Before(k[len(k)-1].From.Add(rotate-overlap)) && !now.Before(k[len(k)-1].From)
}

// withNext returns the keys, without those that are gone, plus a new one. It signs when the last key has signed
// for rotate, but not before it was published for overlap. The very first key signs at once.
func (k ringKeys) withNext(now time.Time, rotate, overlap time.Duration, random io.Reader) (ringKeys, error) {
	from := now
	if len(k) > 0 {
		from = k[len(k)-1].From.Add(rotate)
		if earliest := now.Add(overlap); from.Before(earliest) {
			from = earliest
		}
		k = k.published(now, overlap)
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	key := ringKey{Seed: seed, From: from.UTC(), private: ed25519.NewKeyFromSeed(seed)}
	kid, err := thumbprintOf(key.private.Public())
	if err != nil {
		return nil, err
	}
	key.KID = kid
	return append(slices.Clone(k), key), nil
}

func (k ringKeys) encode() ([]byte, error) {
	data, err := json.Marshal(ringEntry{Version: 1, Keys: k})
	if err != nil {
		return nil, errors.New("could not encode the gateway's keys")
	}
	return data, nil
}

// parseRing parses the output of encode and nothing else. Its errors reveal nothing of the entry.
func parseRing(data []byte) (ringKeys, error) {
	var entry ringEntry
	if err := json.Unmarshal(data, &entry, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("the entry is not the JSON that the gateway writes")
	}
	if entry.Version != 1 || len(entry.Keys) == 0 {
		return nil, fmt.Errorf("the entry has version %d and %d keys", entry.Version, len(entry.Keys))
	}
	for i := range entry.Keys {
		key := &entry.Keys[i]
		if len(key.Seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("key %d is not 32 bytes long", i+1)
		}
		key.private = ed25519.NewKeyFromSeed(key.Seed)
		if kid, err := thumbprintOf(key.private.Public()); err != nil || kid != key.KID {
			return nil, fmt.Errorf("key %d does not match its kid", i+1)
		}
		if i > 0 && !entry.Keys[i-1].From.Before(key.From) {
			return nil, fmt.Errorf("keys %d and %d are not in order", i, i+1)
		}
	}
	return entry.Keys, nil
}
