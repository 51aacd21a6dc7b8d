package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Report is what Verify found.
type Report struct {
	Entries  uint64    `json:"entries"`
	Heads    int       `json:"heads"`             // signed heads, all of them verified
	Unsigned int       `json:"unsigned"`          // entries behind the last head, which could be cut off unseen
	First    time.Time `json:"first,omitzero"`    // time of the first entry
	Last     time.Time `json:"last,omitzero"`     // time of the last
	KIDs     []string  `json:"kids"`              // of the keys that signed heads
	Unknown  []string  `json:"unknown,omitempty"` // of those, the ones that are not among the trusted
}

// Verify reads a whole log and checks every hash, every link and every head. trusted is a JWK set of keys that are
// known to be the gateway's; a head by another key is checked against the public key in the log itself, and the
// key is reported as unknown. The first thing that does not hold is the error; the report says how far it held.
func Verify(dir string, trusted []byte) (Report, error) {
	v := verifier{keys: map[string]ed25519.PublicKey{}, seen: map[string]bool{}}
	if len(trusted) > 0 {
		if err := v.trust(trusted); err != nil {
			return v.report, err
		}
	}
	err := Read(dir, v.entry)
	return v.report, err
}

// Read calls back with each entry of a log, in order, after it has checked hash and link. A torn last line, which
// was never acknowledged, is passed over.
func Read(dir string, each func(Entry) error) error {
	names, err := fileNames(dir)
	if err != nil {
		return err
	}
	var last Entry
	for i, name := range names {
		err := readLines(filepath.Join(dir, name), func(line []byte, complete bool) error {
			if !complete && i == len(names)-1 {
				return nil
			}
			e, err := parse(line)
			if err == nil {
				err = e.follows(last)
			}
			if err != nil {
				return err
			}
			last = e
			return each(e)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

type verifier struct {
	report Report
	keys   map[string]ed25519.PublicKey
	seen   map[string]bool // kids that signed a head
	fixed  map[string]bool // kids that were trusted from the beginning
	last   Entry
}

func (v *verifier) trust(set []byte) error {
	var parsed struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &parsed); err != nil {
		return fmt.Errorf("the trusted key set cannot be read: %w", err)
	}
	v.fixed = map[string]bool{}
	for _, jwk := range parsed.Keys {
		kid, key, err := parseJWK(jwk)
		if err != nil {
			continue // a set may hold keys of other kinds
		}
		v.keys[kid], v.fixed[kid] = key, true
	}
	return nil
}

func (v *verifier) entry(e Entry) error {
	v.report.Entries++
	if v.report.First.IsZero() {
		v.report.First = e.Time
	}
	v.report.Last = e.Time
	var err error
	switch e.Kind {
	case kindHead:
		err = v.head(e)
	case kindKey:
		err = v.key(e)
	default:
		v.report.Unsigned++
	}
	v.last = e
	return err
}

func (v *verifier) key(e Entry) error {
	var introduced publicKey
	if err := json.Unmarshal(e.Data, &introduced); err != nil {
		return err
	}
	kid, key, err := parseJWK(introduced.JWK)
	if err != nil || kid != introduced.KID {
		return errors.New("the key that it introduces cannot be read")
	}
	if known, found := v.keys[kid]; found && !known.Equal(key) {
		return fmt.Errorf("it introduces another key as %s than the one that is trusted", kid)
	}
	v.keys[kid] = key
	return nil
}

func (v *verifier) head(e Entry) error {
	var signed head
	if err := json.Unmarshal(e.Data, &signed); err != nil {
		return err
	}
	key, known := v.keys[signed.KID]
	if !known {
		return fmt.Errorf("the head is signed by %s, a key that is neither trusted nor in the log", signed.KID)
	}
	if !ed25519.Verify(key, headMessage(v.last.Seq, v.last.Hash), signed.Signature) {
		return errors.New("the head's signature does not hold")
	}
	v.report.Heads++
	v.report.Unsigned = 0
	if !v.seen[signed.KID] {
		v.seen[signed.KID] = true
		v.report.KIDs = append(v.report.KIDs, signed.KID)
		if v.fixed != nil && !v.fixed[signed.KID] {
			v.report.Unknown = append(v.report.Unknown, signed.KID)
		}
	}
	return nil
}

// parseJWK reads an Ed25519 public key (RFC 8037).
func parseJWK(text []byte) (kid string, key ed25519.PublicKey, err error) {
	var jwk struct {
		KTY string `json:"kty"`
		CRV string `json:"crv"`
		KID string `json:"kid"`
		X   string `json:"x"`
	}
	if err := json.Unmarshal(text, &jwk); err != nil {
		return "", nil, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(jwk.X)
	if err != nil || jwk.KTY != "OKP" || jwk.CRV != "Ed25519" || len(raw) != ed25519.PublicKeySize || jwk.KID == "" {
		return "", nil, errors.New("it is not an Ed25519 key with a kid")
	}
	return jwk.KID, raw, nil
}

// findJWK finds the key of a kid in a JWK set.
func findJWK(set []byte, kid string) (json.RawMessage, error) {
	var parsed struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &parsed); err != nil {
		return nil, err
	}
	for _, jwk := range parsed.Keys {
		if found, _, err := parseJWK(jwk); err == nil && found == kid {
			return jwk, nil
		}
	}
	return nil, fmt.Errorf("the key %s is not in the published set", kid)
}
