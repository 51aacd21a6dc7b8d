package jwks

import (
	"bytes"
	jsonv1 "encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

func FuzzParse(f *testing.F) {
	for _, header := range []string{
		goodHeader, `{}`, `{"alg":1}`, `{"alg":"RS512","KID":1}`, `{"alg":"RS512","alg":"none"}`, `{"kid":"\ud83d\ude00"}`, `{"crit":[]}`, ` {"typ":null} `,
	} {
		f.Add(compact(header, `{"iss":"epr"}`))
	}
	f.Add([]byte("e30.e30.AA"))
	f.Add([]byte("e30.e30.AB"))
	f.Add([]byte("e30.e30\n.AA"))
	f.Fuzz(func(t *testing.T, text []byte) {
		token, err := Parse(text)
		if err != nil {
			if CodeOf(err) == "" || token != nil {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		segments := strings.Split(string(text), ".")
		if len(segments) != 3 || segments[1] != segment(string(token.Payload())) || segments[2] != segment(string(token.Signature())) {
			t.Fatal("what was taken is not what is encoded")
		}
		// golang-jwt and encoding/json, which folds case, see the same header.
		parsed, _, err := jwt.NewParser().ParseUnverified(string(text), &jwt.MapClaims{})
		if err == nil && parsed.Method.Alg() != token.Header.Alg {
			t.Fatalf("golang-jwt sees alg %s, we %s", parsed.Method.Alg(), token.Header.Alg)
		}
		header, err := canonical.DecodeString(segments[0])
		if err != nil {
			t.Fatal(err)
		}
		var folded struct{ Alg, Kid, Typ any }
		if err := jsonv1.Unmarshal(header, &folded); err != nil {
			t.Fatalf("encoding/json refuses the header: %v", err)
		}
		if got := (Header{Alg: text1(folded.Alg), KID: text1(folded.Kid), Typ: text1(folded.Typ)}); got != token.Header {
			t.Fatalf("encoding/json sees %+v, we %+v", got, token.Header)
		}
	})
}

// text1 is what encoding/json made of a member, if it is a string.
func text1(v any) string {
	s, _ := v.(string)
	return s
}

func FuzzDecodeClaims(f *testing.F) {
	for _, payload := range []string{
		`{"iss":"a","sub":"b","exp":1.5e9,"payloads":[{"id":"1","payload":"x"}]}`, `{"SUB":1}`, `{"x":{"SUB":1}}`,
		`{"payloads":[{"Id":1}]}`, `{"payloads":[[{"ID":"1"}]]}`, `{"payloads":{"x":{"ID":1}}}`, `{"x":["\"{[",{"y":"\\"}]}`,
		strings.Repeat(`{"x":`, 17) + `1` + strings.Repeat(`}`, 17), strings.Repeat(`[`, 20), `{"\u0069ss":"a"}`, `{"\u0049ss":"a"}`,
		`{"sub":1}`, `null`, `{"jti":1,"Jti":2}`, "{\"x\":\"\\\"\"}", `{"a":"b" , "ISS" : 1}`,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		token := &Token{payload: payload}
		var c claims
		err := token.Decode(&c, "jti")
		code := CodeOf(err)
		if (err == nil) != (code == "") {
			t.Fatalf("an error without a code: %v", err)
		}
		// The names and the depth, once more by the library's own tokens.
		ok := readable(payload)
		if ok != (code != CodeJSON) {
			t.Fatalf("got %v, by its tokens it is readable: %v", err, ok)
		}
		if err != nil {
			return
		}
		var plain claims
		if err := json.Unmarshal(payload, &plain); err != nil || !reflect.DeepEqual(plain, c) {
			t.Fatalf("read plainly it is %+v (%v), not %+v", plain, err, c)
		}
		var folded struct{ Iss, Sub any }
		if err := jsonv1.Unmarshal(payload, &folded); err != nil || text1(folded.Iss) != c.Iss || text1(folded.Sub) != c.Sub {
			t.Fatalf("encoding/json sees %+v (%v), we %q and %q", folded, err, c.Iss, c.Sub)
		}
	})
}

// readable tells whether a payload is one object of strict JSON without too many levels or folded names.
func readable(payload []byte) bool {
	decoder := jsontext.NewDecoder(bytes.NewReader(payload))
	top := ""
	for first := true; ; first = false {
		token, err := decoder.ReadToken()
		if errors.Is(err, io.EOF) {
			return !first
		}
		if err != nil || decoder.StackDepth() > maxDepth || first && token.Kind() != jsontext.KindBeginObject {
			return false
		}
		if !first && decoder.StackDepth() == 0 && token.Kind() != jsontext.KindEndObject {
			return false // more after the object
		}
		objects := 0
		for level := 1; level <= decoder.StackDepth(); level++ {
			if kind, _ := decoder.StackIndex(level); kind == jsontext.KindBeginObject {
				objects++
			}
		}
		if kind, length := decoder.StackIndex(decoder.StackDepth()); kind != jsontext.KindBeginObject || length%2 == 0 || token.Kind() != jsontext.KindString {
			continue
		}
		name := token.String()
		known := []string{}
		if objects == 1 {
			top = name
			known = []string{"iss", "sub", "exp", "payloads", "jti"}
		} else if objects == 2 && top == "payloads" {
			known = []string{"id", "payload"}
		}
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return false
			}
		}
	}
}

func FuzzParseSet(f *testing.F) {
	for _, set := range []string{
		setOf(), setOf(jwkWith(m{})), setOf(jwkWith(m{"d": "AA"})), setOf(jwkWith(m{"kty": "oct"})), setOf(jwkWith(m{}), jwkWith(m{"kid": "k2"})),
		setOf(jwkWith(m{"x5c": []string{"-----"}, "use": "sig", "key_ops": []string{"verify"}, "alg": "RS512"})), `{"keys":[null,1,"",[]]}`, `{"keys":null}`,
	} {
		f.Add([]byte(set))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseSet(data)
		if err != nil {
			return
		}
		kids := make(map[string]bool)
		for _, key := range set.Keys() {
			if kids[key.KID()] || key.KID() == "" || key.Bits() < 2048 || key.Bits() > 8192 || key.Public().E < 3 || key.Public().N.Bit(0) == 0 {
				t.Fatalf("key %q must not have been taken", key.KID())
			}
			kids[key.KID()] = true
		}
		var raw struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := jsonv1.Unmarshal(data, &raw); err != nil {
			t.Fatalf("encoding/json refuses the set: %v", err)
		}
		if len(raw.Keys) != len(set.Keys())+len(set.Skipped()) {
			t.Fatalf("%d members, %d keys, %d skipped", len(raw.Keys), len(set.Keys()), len(set.Skipped()))
		}
		for _, member := range raw.Keys {
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
				if _, there := member[private]; there {
					t.Fatalf("a set with %q was taken", private)
				}
			}
		}
	})
}
