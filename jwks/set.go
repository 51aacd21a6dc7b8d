package jwks

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/seed-dd2befc3/countersign/roca"
)

// The limits of a key set.
const (
	maxSetBytes = 1 << 20
	maxSetKeys  = 100
)

// Set is the keys of one JWK set (RFC 7517 §5) that can verify RS256 or RS512. It is immutable.
type Set struct {
	keys    []*Key
	skipped []string
	weak    []string // kids of keys left out because their private key can be computed
}

// Key returns the key with this kid, and whether there is one.
func (s *Set) Key(kid string) (*Key, bool) {
	for _, key := range s.keys {
		if key.kid == kid {
			return key, true
		}
	}
	return nil, false
}

// without returns the error for a kid that has no key.
func (s *Set) without(kid string) error {
	if slices.Contains(s.weak, kid) {
		return fmt.Errorf("%w that can be used: %w", ErrUnknownKID, roca.ErrWeak)
	}
	return ErrUnknownKID
}

// Keys returns the keys in the order they have in the set.
func (s *Set) Keys() []*Key { return slices.Clone(s.keys) }

// Skipped returns a line for each public key that was left out, with the reason.
func (s *Set) Skipped() []string { return slices.Clone(s.skipped) }

// member holds the members of a JWK that are read. All others, such as x5c, are ignored: they are not needed,
// and in the wild they are often wrong.
type member struct {
	KTY    jsontext.Value `json:"kty"`
	KID    jsontext.Value `json:"kid"`
	Use    jsontext.Value `json:"use"`
	KeyOps jsontext.Value `json:"key_ops"`
	Alg    jsontext.Value `json:"alg"`
	N      jsontext.Value `json:"n"`
	E      jsontext.Value `json:"e"`
}

// ParseSet parses a JWK set as clients publish it.
//
// The whole set is rejected, so that its owner notices, if one of its keys has a private member (d, p, q, dp,
// dq, qi, oth, k), is symmetric, is an RSA key outside 2048 to 8192 bits or with an invalid exponent, or
// repeats a kid. Duplicate JSON names, more than 100 keys and more than 1 MiB also reject the set.
//
// A public key that cannot be used is left out, and Skipped says why: another key type, no kid, a kid over
// 256 characters, a use other than sig, key_ops without verify, an alg other than RS256, RS384 and RS512. A
// key with the ROCA fingerprint (CVE-2017-15361) is left out too: its owner may not know, and the other keys
// are good. Nine in ten published keys have no alg. Any of the three is accepted, because the caller chooses
// the algorithm of a verification.
func ParseSet(data []byte) (*Set, error) {
	if len(data) > maxSetBytes {
		return nil, fmt.Errorf("the key set is larger than %d bytes", maxSetBytes)
	}
	var raw struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := checkNames(data, []knownName{{name: "keys"}}); err != nil {
		return nil, fmt.Errorf("the key set %w", err)
	}
	switch err := json.Unmarshal(data, &raw); {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, errors.New("the key set has a duplicate name in one object")
	case err != nil || raw.Keys == nil:
		return nil, errors.New(`the key set is not JSON of the form {"keys":[…]} (RFC 7517 §5)`)
	case len(raw.Keys) > maxSetKeys:
		return nil, fmt.Errorf("the key set has %d keys, want at most %d", len(raw.Keys), maxSetKeys)
	}
	set := &Set{}
	for i, value := range raw.Keys {
		label := fmt.Sprintf("key %d of the set", i+1)
		var m member
		if err := json.Unmarshal(value, &m); err != nil || value.Kind() != jsontext.KindBeginObject {
			return nil, fmt.Errorf("%s is not a JSON object", label)
		}
		kid, _ := StringValue(m.KID)
		if kid != "" {
			label += fmt.Sprintf(" (kid %.64q)", kid)
		}
		if err := refuseSecrets(value, &m); err != nil {
			return nil, fmt.Errorf("%s %w", label, err)
		}
		if why := m.unusable(kid); why != "" {
			set.skipped = append(set.skipped, label+" left out: "+why)
			continue
		}
		key, err := m.key(kid)
		if errors.Is(err, roca.ErrWeak) {
			set.skipped = append(set.skipped, label+" rejected: "+err.Error())
			set.weak = append(set.weak, kid)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s rejected: %w", label, err)
		}
		if _, twice := set.Key(kid); twice {
			return nil, fmt.Errorf("%s repeats the kid of an earlier key; a kid must name one key", label)
		}
		set.keys = append(set.keys, key)
	}
	return set, nil
}

// refuseSecrets rejects a key that has private members. The names alone decide.
func refuseSecrets(value jsontext.Value, m *member) error {
	if kty, _ := StringValue(m.KTY); kty == "oct" {
		return errors.New("is a symmetric key (kty oct), which is secret and must not be published")
	}
	var names map[string]jsontext.Value
	if err := json.Unmarshal(value, &names); err != nil {
		return errors.New("is not a JSON object")
	}
	for name := range names {
		// Ignore case: a reader that folds case would find the secret.
		private := strings.ToLower(name)
		if slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, private) {
			return fmt.Errorf("has the private member %q: withdraw this key, which is now known to everyone, "+
				"and publish only kty, kid, n and e of a new one", private)
		}
	}
	return nil
}

// unusable returns why a public key cannot be used, or "".
func (m *member) unusable(kid string) string {
	kty, _ := StringValue(m.KTY)
	use, _ := StringValue(m.Use)
	alg, _ := StringValue(m.Alg)
	if kty != "RSA" {
		return fmt.Sprintf("kty is %.16q, want RSA", kty)
	}
	if err := checkKID(kid); err != nil {
		return err.Error()
	}
	if m.Use != nil && use != "sig" {
		return fmt.Sprintf("use is %.16q, want sig", use)
	}
	if m.Alg != nil && !slices.Contains([]string{"RS256", "RS384", "RS512"}, alg) {
		return fmt.Sprintf("alg is %.16q, want RS512", alg)
	}
	if m.KeyOps != nil {
		var ops []string
		if err := json.Unmarshal(m.KeyOps, &ops); err != nil || !slices.Contains(ops, "verify") {
			return "key_ops does not contain verify"
		}
	}
	return ""
}

// key parses n and e with jwx; no other member reaches it.
func (m *member) key(kid string) (*Key, error) {
	material, err := json.Marshal(map[string]any{"kty": "RSA", "n": m.N, "e": m.E})
	if err != nil {
		return nil, errors.New("n or e is malformed")
	}
	parsed, err := jwk.ParseKey(material)
	if err != nil {
		return nil, errors.New("n or e is malformed")
	}
	public, ok := parsed.(jwk.RSAPublicKey)
	if !ok {
		return nil, errors.New("n or e is malformed")
	}
	return newKey(kid, new(big.Int).SetBytes(public.N()), new(big.Int).SetBytes(public.E()))
}
