package audit

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// keyring decides whose heads count. Without a key from outside the log all keys that it introduces do, which shows no
// more than that the log is of one piece. With such keys a head counts
//
//   - if one of its signatures is by a key from outside, or by one that was introduced before a head that counts, by the
//     process that signed that head: so a set that was saved once holds for all keys that follow by rotation;
//   - if a head that counts follows, since that one signs everything before it: so a set that was saved late holds for
//     all keys that came before.
type keyring struct {
	keys    map[string]ed25519.PublicKey // by kid
	outside map[string]bool              // kids that are known from elsewhere
	proven  map[string]bool              // kids that outside ones vouch for, and those themselves
	offered map[string]bool              // kids that the next head that counts vouches for
	first   uint64                       // entry of the first head that counts; 0: none yet
	signed  []string                     // kids that signed a head
	strange map[string]uint64            // kids whose heads do not count yet, with the first such entry
}

func newKeyring() *keyring {
	return &keyring{
		keys: map[string]ed25519.PublicKey{}, outside: map[string]bool{}, proven: map[string]bool{}, offered: map[string]bool{},
		strange: map[string]uint64{},
	}
}

// trust adds a JWK set from outside the log.
func (k *keyring) trust(set []byte) error {
	found := 0
	err := eachKey(set, func(kid string, _ json.RawMessage, key ed25519.PublicKey) error {
		found++
		k.keys[kid], k.outside[kid], k.proven[kid] = key, true, true
		return nil
	})
	if err == nil && found == 0 {
		err = errors.New("the key set holds no Ed25519 key")
	}
	return err
}

// introduce adds a key that the log holds.
func (k *keyring) introduce(data []byte) error {
	var introduced publicKey
	if err := json.Unmarshal(data, &introduced); err != nil {
		return err
	}
	kid, key, err := parseJWK(introduced.JWK)
	if err != nil || kid != introduced.KID {
		return errors.New("the key in this entry cannot be read")
	}
	if known, found := k.keys[kid]; found && !known.Equal(key) {
		return fmt.Errorf("this entry introduces another key as %s than the one that is known by that name", kid)
	}
	k.keys[kid], k.offered[kid] = key, true
	return nil
}

// reopened forgets the keys that nothing vouches for yet: whoever could write to the directory while no process held the
// log could have introduced one of its own, and the next head would vouch for it.
func (k *keyring) reopened() { clear(k.offered) }

// stands says whether a head counts in the end that a key has signed in an entry. Before the first head that is known to
// count nobody can tell, and it counts.
func (k *keyring) stands(kid string, number uint64) bool {
	return len(k.outside) == 0 || k.proven[kid] || number < k.first
}

// accept checks every signature of a head over a message. The head stands in the entry with that number.
func (k *keyring) accept(signed head, message []byte, number uint64) error {
	counts := len(k.outside) == 0
	for _, by := range append([]signature{{signed.KID, signed.Signature}}, signed.Also...) {
		key, known := k.keys[by.KID]
		if !known {
			return fmt.Errorf("the head is signed by %s, a key that is neither trusted nor in the log before it", by.KID)
		}
		if !ed25519.Verify(key, message, by.Signature) {
			return errors.New("the head's signature does not hold")
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

// judge fails where heads are left that nothing from outside the log vouches for.
func (k *keyring) judge() error {
	for _, kid := range k.signed {
		if number, strange := k.strange[kid]; strange {
			return fmt.Errorf("the heads from entry %d on are signed by %s, which is not among the trusted keys, and none of those vouches for it", number, kid)
		}
	}
	return nil
}

// vouched are the kids that signed heads, and are trusted through the log alone.
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
