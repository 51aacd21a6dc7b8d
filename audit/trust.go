package audit

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// keyring decides whose heads count. Without keys from outside of the log, all keys that it introduces count, which proves
// only that the log is consistent. With such keys a head counts
//
//   - if one of its signatures is by a key from outside, or by one introduced before a head that counts, by the process that
//     signed that head: so a set saved once covers all keys that follow by rotation;
//   - if it is followed by a head that counts, which signs everything before it: so a set saved late covers all earlier
//     keys.
type keyring struct {
	keys    map[string]ed25519.PublicKey // by kid
	outside map[string]bool              // kids known from elsewhere
	proven  map[string]bool              // kids from outside, and kids they vouch for
	offered map[string]bool              // kids for which the next head that counts vouches
	first   uint64                       // entry of the first head that counts; 0: none yet
	signed  []string                     // kids that signed a head
	strange map[string]uint64            // kids whose heads do not count yet, with their first entry
}

func newKeyring() *keyring {
	return &keyring{
		keys: map[string]ed25519.PublicKey{}, outside: map[string]bool{}, proven: map[string]bool{}, offered: map[string]bool{},
		strange: map[string]uint64{},
	}
}

// trust adds a JWK set from outside of the log.
func (k *keyring) trust(set []byte) error {
	found := 0
	err := eachKey(set, func(kid string, _ json.RawMessage, key ed25519.PublicKey) error {
		found++
		k.keys[kid], k.outside[kid], k.proven[kid] = key, true, true
		return nil
	})
	if err == nil && found == 0 {
		err = errors.New("key set has no Ed25519 key")
	}
	return err
}

// introduce adds a key from the log.
func (k *keyring) introduce(data []byte) error {
	var introduced publicKey
	if err := json.Unmarshal(data, &introduced); err != nil {
		return err
	}
	kid, key, err := parseJWK(introduced.JWK)
	if err != nil || kid != introduced.KID {
		return errors.New("malformed key in this entry")
	}
	if known, found := k.keys[kid]; found && !known.Equal(key) {
		return fmt.Errorf("this entry introduces another key as %s than the one already known by that name", kid)
	}
	k.keys[kid], k.offered[kid] = key, true
	return nil
}

// reopened forgets the keys for which nothing vouches yet: whoever could write to the directory while no process held the
// log could have introduced a key, and the next head would vouch for it.
func (k *keyring) reopened() { clear(k.offered) }

// stands reports whether a head signed by a key in an entry counts in the end. Before the first head that is known to count
// this cannot be told, and it counts.
func (k *keyring) stands(kid string, number uint64) bool {
	return len(k.outside) == 0 || k.proven[kid] || number < k.first
}

// accept verifies every signature of a head, which is the entry with that number, over a message.
func (k *keyring) accept(signed head, message []byte, number uint64) error {
	counts := len(k.outside) == 0
	for _, by := range append([]signature{{signed.KID, signed.Signature}}, signed.Also...) {
		key, known := k.keys[by.KID]
		if !known {
			return fmt.Errorf("head is signed by %s, a key that is neither trusted nor in the log before it", by.KID)
		}
		if !ed25519.Verify(key, message, by.Signature) {
			return errors.New("the head's signature is invalid")
		}
		counts = counts || k.proven[by.KID]
	}
	if !slices.Contains(k.signed, signed.KID) {
		k.signed = append(k.signed, signed.KID)
	}
	if !counts {
		if _, noted := k.strange[signed.KID]; !noted {
			k.strange[signed.KID] = number
		}
		return nil
	}
	clear(k.strange)
	k.first = orElse(k.first, number)
	for kid := range k.offered {
		k.proven[kid] = true
	}
	clear(k.offered)
	return nil
}

// judge fails if nothing from outside of the log vouches for some heads.
func (k *keyring) judge() error {
	for _, kid := range k.signed {
		if number, strange := k.strange[kid]; strange {
			return fmt.Errorf("heads from entry %d on are signed by %s, which is not among the trusted keys, and none of those vouches for it", number, kid)
		}
	}
	return nil
}

// vouched returns the kids that signed heads and are trusted only through the log, and those that are not trusted.
func (k *keyring) vouched() (through, unknown []string) {
	for _, kid := range k.signed {
		_, strange := k.strange[kid]
		switch {
		case strange:
			unknown = append(unknown, kid)
		case len(k.outside) > 0 && !k.outside[kid]:
			through = append(through, kid)
		}
	}
	return through, unknown
}
