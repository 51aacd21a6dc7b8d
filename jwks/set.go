package jwks

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/seed-dd2befc3/countersign/textfile"
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
	leftOut map[string]error // by kid: why a key was left out
	faulty  bool             // a key was left out whose owner meant it to be used
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
	if why := s.leftOut[kid]; why != nil {
		return fmt.Errorf("%w that can be used: %w", ErrUnknownKID, why)
	}
	return ErrUnknownKID
}

// leave leaves out a key, and tells why under a label.
func (s *Set) leave(label, kid string, why error) {
	s.skipped = append(s.skipped, label+" left out: "+why.Error())
	if s.leftOut == nil {
		s.leftOut = map[string]error{}
	}
	if kid != "" && !errors.Is(s.leftOut[kid], errTwoKeys) { // which no later key of the set mends
		s.leftOut[kid] = why
	}
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

// errTwoKeys is why a kid that names two keys names none.
var errTwoKeys = errors.New("two different keys have this kid, so neither is used: give each key a kid of its own")

// ParseSet parses a JWK set as clients publish it. The text may begin with a byte order mark or be UTF-16 with its mark.
//
// The whole set is rejected, so that its owner notices, if one of its keys is symmetric or has a private member (d, p, q, dp,
// dq, qi, oth, k) with a value. Duplicate JSON names, more than 100 keys and more than 1 MiB also reject the set.
//
// A member that is null, "", [] or {} counts as absent: some libraries write them.
//
// A key that cannot be used is left out, and Skipped says why (RFC 7517 §5): another key type, no kid, a kid over 256
// characters, a use other than sig, key_ops without verify, an alg other than RS256, RS384 and RS512, n or e that is missing
// or malformed, an RSA key outside 2048 to 8192 bits or with an invalid exponent, or with the ROCA fingerprint
// (CVE-2017-15361). The same key listed twice under one kid counts once. Two different ones under one kid are both left out.
// Nine in ten published keys have no alg. Any of the three is accepted, because the caller chooses the algorithm of a
// verification.
func ParseSet(data []byte) (*Set, error) {
	values, err := setValues(data)
	if err != nil {
		return nil, err
	}
	set := &Set{}
	labels := map[string]string{} // of the keys that are used, by kid
	for i, value := range values {
		label := fmt.Sprintf("key %d of the set", i+1)
		var m member
		if err := json.Unmarshal(value, &m); err != nil || value.Kind() != jsontext.KindBeginObject {
			set.leave(label, "", errors.New("not a JSON object"))
			set.faulty = true
			continue
		}
		m.dropEmpty()
		kid, _ := StringValue(m.KID)
		if kid != "" {
			label += fmt.Sprintf(" (kid %.64q)", kid)
		}
		if err := refuseSecrets(value, &m); err != nil {
			return nil, fmt.Errorf("%s %w", label, err)
		}
		if why := m.unusable(kid); why != "" {
			set.leave(label, kid, errors.New(why))
			continue
		}
		key, err := m.key(kid)
		if err != nil {
			set.leave(label, kid, err)
			set.faulty = true
			continue
		}
		set.add(key, label, labels)
	}
	return set, nil
}

// setValues returns the values of the member keys of a set.
func setValues(data []byte) ([]jsontext.Value, error) {
	if len(data) > maxSetBytes {
		return nil, fmt.Errorf("the key set is larger than %d bytes", maxSetBytes)
	}
	text, err := textfile.UTF8(data)
	if err != nil {
		return nil, fmt.Errorf("the key set cannot be read: %w", err)
	}
	var raw struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := checkNames(text, []knownName{{name: "keys"}}); err != nil {
		return nil, fmt.Errorf("the key set %w", err)
	}
	switch err := json.Unmarshal(text, &raw); {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, errors.New("the key set has a duplicate name in one object")
	case err != nil || raw.Keys == nil:
		return nil, errors.New(`the key set is not JSON of the form {"keys":[…]} (RFC 7517 §5)`)
	case len(raw.Keys) > maxSetKeys:
		return nil, fmt.Errorf("the key set has %d keys, want at most %d", len(raw.Keys), maxSetKeys)
	}
	return raw.Keys, nil
}

// add adds a key, unless its kid names it already or names another one, which is then removed.
func (s *Set) add(key *Key, label string, labels map[string]string) {
	if errors.Is(s.leftOut[key.kid], errTwoKeys) {
		s.leave(label, key.kid, errTwoKeys)
		return
	}
	other, twice := s.Key(key.kid)
	switch {
	case !twice:
		s.keys = append(s.keys, key)
		labels[key.kid] = label
	case other.thumbprint != key.thumbprint:
		s.keys = slices.DeleteFunc(s.keys, func(k *Key) bool { return k.kid == key.kid })
		s.leave(labels[key.kid], key.kid, errTwoKeys)
		s.leave(label, key.kid, errTwoKeys)
		s.faulty = true
	}
}

// isEmpty reports whether a member's value says nothing: null, "", [] or {}.
func isEmpty(v jsontext.Value) bool {
	switch v.Kind() {
	case jsontext.KindNull:
		return true
	case jsontext.KindString:
		text, ok := StringValue(v)
		return ok && text == ""
	case jsontext.KindBeginArray, jsontext.KindBeginObject:
		return len(bytes.TrimSpace(v[1:len(v)-1])) == 0
	default:
		return false
	}
}

// dropEmpty makes empty members absent.
func (m *member) dropEmpty() {
	for _, v := range []*jsontext.Value{&m.KTY, &m.KID, &m.Use, &m.KeyOps, &m.Alg, &m.N, &m.E} {
		if *v != nil && isEmpty(*v) {
			*v = nil
		}
	}
}

// refuseSecrets rejects a key that has private members with a value.
func refuseSecrets(value jsontext.Value, m *member) error {
	if kty, _ := StringValue(m.KTY); kty == "oct" {
		return errors.New("is a symmetric key (kty oct), which is secret and must not be published")
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(value, &members); err != nil {
		return errors.New("is not a JSON object")
	}
	for name, content := range members {
		// Ignore case: a reader that folds case would find the secret.
		private := strings.ToLower(name)
		if slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, private) && !isEmpty(content) {
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
	switch {
	case m.N == nil && m.E == nil:
		return nil, errors.New("n and e are missing; a certificate in x5c is not read in their place")
	case m.N == nil || m.E == nil:
		return nil, errors.New("n or e is missing")
	case m.N.Kind() != jsontext.KindString || m.E.Kind() != jsontext.KindString:
		return nil, errors.New("n or e is not base64url in a string, such as AQAB for the exponent 65537")
	}
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
