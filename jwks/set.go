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

// What a set may be.
const (
	maxSetBytes = 1 << 20
	maxSetKeys  = 100
)

// Set is the keys of one JWK set (RFC 7517 §5) that can verify RS256 or RS512. It does not change.
type Set struct {
	keys    []*Key
	skipped []string
	weak    []string // kids of keys that were left out since their private half can be computed
}

// Key returns the key with this kid.
func (s *Set) Key(kid string) (*Key, bool) {
	for _, key := range s.keys {
		if key.kid == kid {
			return key, true
		}
	}
	return nil, false
}

// without says why there is no key with this kid.
func (s *Set) without(kid string) error {
	if slices.Contains(s.weak, kid) {
		return fmt.Errorf("%w that can be used: %w", ErrUnknownKID, roca.ErrWeak)
	}
	return ErrUnknownKID
}

// Keys returns the keys in the order of the set.
func (s *Set) Keys() []*Key { return slices.Clone(s.keys) }

// Skipped says of each member that is public but of no use here why it was left out.
func (s *Set) Skipped() []string { return slices.Clone(s.skipped) }

// member is what we look at in a JWK. Everything else, such as x5c, is left alone: we do not use it, and in
// the wild it is often not what it should be.
type member struct {
	KTY    jsontext.Value `json:"kty"`
	KID    jsontext.Value `json:"kid"`
	Use    jsontext.Value `json:"use"`
	KeyOps jsontext.Value `json:"key_ops"`
	Alg    jsontext.Value `json:"alg"`
	N      jsontext.Value `json:"n"`
	E      jsontext.Value `json:"e"`
}

// ParseSet reads a JWK set as clients publish it.
//
// One bad member refuses the whole set, so that its owner notices: private members (d, p, q, dp, dq, qi, oth,
// k), symmetric keys, RSA keys outside 2048 to 8192 bits or with an impossible exponent, a kid given twice.
// So do duplicate JSON names, more than 100 keys and more than 1 MiB.
//
// A member that is public but of no use is skipped, and Skipped says so: another key type, no kid, one over
// 256 characters, a use other than sig, key_ops without verify, an alg other than RS256, RS384 and RS512. So is a key
// with the ROCA fingerprint (CVE-2017-15361): its owner may not know, and its other keys are good. Nine
// in ten published keys have no alg; where it is there, any of these three will do, because the algorithm of
// a verification is the caller's choice.
func ParseSet(data []byte) (*Set, error) {
	if len(data) > maxSetBytes {
		return nil, fmt.Errorf("the key set has more than %d bytes", maxSetBytes)
	}
	var raw struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := checkNames(data, []knownName{{name: "keys"}}); err != nil {
		return nil, fmt.Errorf("the key set %w", err)
	}
	switch err := json.Unmarshal(data, &raw); {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, errors.New("the key set has a name twice in one object")
	case err != nil || raw.Keys == nil:
		return nil, errors.New(`the key set is not JSON of the form {"keys":[…]} (RFC 7517 §5)`)
	case len(raw.Keys) > maxSetKeys:
		return nil, fmt.Errorf("the key set has %d keys; at most %d are taken", len(raw.Keys), maxSetKeys)
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
		if why := m.useless(kid); why != "" {
			set.skipped = append(set.skipped, label+" is left out: "+why)
			continue
		}
		key, err := m.key(kid)
		if errors.Is(err, roca.ErrWeak) {
			set.skipped = append(set.skipped, label+" is refused: "+err.Error())
			set.weak = append(set.weak, kid)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s is refused: %w", label, err)
		}
		if _, twice := set.Key(kid); twice {
			return nil, fmt.Errorf("%s has the kid of an earlier key; a kid must name one key", label)
		}
		set.keys = append(set.keys, key)
	}
	return set, nil
}

// refuseSecrets refuses a member that holds what only its owner may know. The names alone decide.
func refuseSecrets(value jsontext.Value, m *member) error {
	if kty, _ := StringValue(m.KTY); kty == "oct" {
		return errors.New("is a symmetric key (kty oct): it is secret and must not be published")
	}
	var names map[string]jsontext.Value
	if err := json.Unmarshal(value, &names); err != nil {
		return errors.New("is not a JSON object")
	}
	for name := range names {
		// In any case: who reads names without regard to it would find the secret.
		private := strings.ToLower(name)
		if slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, private) {
			return fmt.Errorf("holds the private member %q: withdraw this key, it is known to everyone, "+
				"and publish only kty, kid, n and e of a new one", private)
		}
	}
	return nil
}

// useless says why a public key cannot be used here, or "".
func (m *member) useless(kid string) string {
	kty, _ := StringValue(m.KTY)
	use, _ := StringValue(m.Use)
	alg, _ := StringValue(m.Alg)
	if kty != "RSA" {
		return fmt.Sprintf("its kty is %.16q, not RSA", kty)
	}
	if err := checkKID(kid); err != nil {
		return err.Error()
	}
	if m.Use != nil && use != "sig" {
		return fmt.Sprintf("its use is %.16q, not sig", use)
	}
	if m.Alg != nil && !slices.Contains([]string{"RS256", "RS384", "RS512"}, alg) {
		return fmt.Sprintf("its alg is %.16q, not RS512", alg)
	}
	if m.KeyOps != nil {
		var ops []string
		if err := json.Unmarshal(m.KeyOps, &ops); err != nil || !slices.Contains(ops, "verify") {
			return "its key_ops do not hold verify"
		}
	}
	return ""
}

// key lets jwx read the key material, and nothing else of the member.
func (m *member) key(kid string) (*Key, error) {
	material, err := json.Marshal(map[string]any{"kty": "RSA", "n": m.N, "e": m.E})
	if err != nil {
		return nil, errors.New("its n or e cannot be read")
	}
	parsed, err := jwk.ParseKey(material)
	if err != nil {
		return nil, errors.New("its n or e cannot be read")
	}
	public, ok := parsed.(jwk.RSAPublicKey)
	if !ok {
		return nil, errors.New("its n or e cannot be read")
	}
	return newKey(kid, new(big.Int).SetBytes(public.N()), new(big.Int).SetBytes(public.E()))
}
