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

	"github.com/seed-dd2befc3/countersign/textfile"
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
				t.Fatalf("got token %v and error %v, want an error with a code and no token", token, err)
			}
			return
		}
		segments := strings.Split(string(text), ".")
		if len(segments) != 3 || segments[1] != segment(string(token.Payload())) || segments[2] != segment(string(token.Signature())) {
			t.Fatal("decoded segments, encoded again, differ from the input")
		}
		// golang-jwt, and encoding/json, which folds case, read the same header.
		parsed, _, err := jwt.NewParser().ParseUnverified(string(text), &jwt.MapClaims{})
		if err == nil && parsed.Method.Alg() != token.Header.Alg {
			t.Fatalf("golang-jwt reads alg %s, want %s", parsed.Method.Alg(), token.Header.Alg)
		}
		header, err := canonical.DecodeString(segments[0])
		if err != nil {
			t.Fatal(err)
		}
		var folded struct{ Alg, Kid, Typ any }
		if err := jsonv1.Unmarshal(header, &folded); err != nil {
			t.Fatalf("encoding/json rejects the header: %v", err)
		}
		if got := (Header{Alg: text1(folded.Alg), KID: text1(folded.Kid), Typ: text1(folded.Typ)}); got != token.Header {
			t.Fatalf("encoding/json reads %+v, want %+v", got, token.Header)
		}
	})
}

// text1 returns what encoding/json decoded, if it is a string.
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
			t.Fatalf("got error %v with code %q, want both or neither", err, code)
		}
		// Names and depth, checked again with the tokens of the JSON library.
		ok := readable(payload)
		if ok != (code != CodeJSON) {
			t.Fatalf("got error %v, but the JSON library's tokens say readable=%v", err, ok)
		}
		if err != nil {
			return
		}
		var plain claims
		if err := json.Unmarshal(payload, &plain); err != nil || !reflect.DeepEqual(plain, c) {
			t.Fatalf("got %+v, want %+v as json.Unmarshal reads it (%v)", c, plain, err)
		}
		var folded struct{ Iss, Sub any }
		if err := jsonv1.Unmarshal(payload, &folded); err != nil || text1(folded.Iss) != c.Iss || text1(folded.Sub) != c.Sub {
			t.Fatalf("encoding/json reads %+v (%v), want iss %q and sub %q", folded, err, c.Iss, c.Sub)
		}
	})
}

// readable reports whether a payload is one object of strict JSON without excessive depth or case-folded names.
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
			return false // trailing text after the object
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
		setOf(jwkWith(m{"x5c": []string{"-----"}, "use": "sig", "key_ops": []string{"verify"}, "alg": "RS512"})), `{"keys":[null,1,"",[]]}`, "\xef\xbb\xbf" + setOf(jwkWith(m{"d": "", "oth": []int{}})),
		setOf(jwkWith(m{}), jwkWith(m{}), jwkWith(m{"n": modulus(4095)})), `{"keys":null}`,
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
				t.Fatalf("set contains the key %q, which breaks the rules", key.KID())
			}
			kids[key.KID()] = true
		}
		var raw struct {
			Keys []any `json:"keys"`
		}
		text, err := textfile.UTF8(data)
		if err != nil {
			t.Fatalf("set that is no text was accepted: %v", err)
		}
		if err := jsonv1.Unmarshal(text, &raw); err != nil {
			t.Fatalf("encoding/json rejects the set: %v", err)
		}
		if len(raw.Keys) < len(set.Keys())+len(set.Skipped()) { // the same key may be there twice
			t.Fatalf("got %d members but %d keys and %d skipped", len(raw.Keys), len(set.Keys()), len(set.Skipped()))
		}
		for _, entry := range raw.Keys {
			member, _ := entry.(map[string]any)
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
				switch value := member[private].(type) {
				case string:
					if value == "" {
						continue
					}
					t.Fatalf("set with the private member %q was accepted", private)
				case float64, bool:
					t.Fatalf("set with the private member %q was accepted", private)
				}
			}
		}
	})
}
