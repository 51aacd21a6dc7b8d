package jwks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Pattern is what a compact JWS must match as a whole (SIG-1.4), without the slashes
// that error texts put around it. Parse checks it by hand.
const Pattern = `^[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?$`

// Header is what of a JOSE header is looked at. A field is "" where the member is missing or not a string.
type Header struct{ Alg, KID, Typ string }

// Token is a compact JWS that was read strictly. Nothing in it is proved before Verify returned nil.
type Token struct {
	Header Header

	payload   []byte // JSON, not yet looked at
	input     []byte // what was signed: header and payload segment with the dot between; part of Parse's argument
	signature []byte
}

// canonical reads base64url without padding whose unused bits are zero. It would skip line breaks; Parse
// does not let them through to it.
var canonical = base64.RawURLEncoding.Strict()

// Parse reads a compact JWS: the Pattern, canonical base64url, and a header of strict JSON without crit.
// It does no cryptography and leaves the payload's JSON to Decode. The token refers to compact, which must
// not change while the token is used. Errors are *Error.
func Parse(compact []byte) (*Token, error) {
	first := bytes.IndexByte(compact, '.')
	last := bytes.LastIndexByte(compact, '.')
	if first == last || bytes.IndexByte(compact, '\n') >= 0 || bytes.IndexByte(compact, '\r') >= 0 {
		return nil, malformed()
	}
	var parts [3][]byte
	for i, segment := range [][]byte{compact[:first], compact[first+1 : last], compact[last+1:]} {
		decoded := make([]byte, canonical.DecodedLen(len(segment)))
		n, err := canonical.Decode(decoded, segment)
		if err != nil || n == 0 {
			return nil, notDecodable(compact)
		}
		parts[i] = decoded[:n]
	}
	header, err := parseHeader(parts[0])
	if err != nil {
		return nil, err
	}
	return &Token{Header: header, payload: parts[1], input: compact[:last], signature: parts[2]}, nil
}

func malformed() *Error {
	return &Error{Code: CodeMalformed, Text: "the token is not three base64url segments joined by dots"}
}

// notDecodable tells a token that misses the Pattern from one that matches it and is not canonical. The
// decoder has looked at every byte already, so only failures pay for this loop.
func notDecodable(compact []byte) *Error {
	segments := bytes.Split(compact, []byte{'.'})
	if len(segments) != 3 {
		return malformed()
	}
	for _, segment := range segments {
		if len(segment) == 0 || slices.ContainsFunc(segment, notBase64URL) {
			return malformed()
		}
	}
	return &Error{Code: CodeBase64, Text: "a segment of the token is not canonical base64url (RFC 4648 §3.5)"}
}

func notBase64URL(c byte) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
}

func parseHeader(data []byte) (Header, error) {
	var members struct {
		Alg  jsontext.Value `json:"alg"`
		KID  jsontext.Value `json:"kid"`
		Typ  jsontext.Value `json:"typ"`
		Crit jsontext.Value `json:"crit"`
	}
	if err := decodeStrict("header", data, &members); err != nil {
		return Header{}, err
	}
	if members.Crit != nil {
		return Header{}, &Error{Code: CodeCrit, Text: `the token's header has "crit"; no critical extension is understood here (RFC 7515 §4.1.11)`}
	}
	var h Header
	h.Alg, _ = StringValue(members.Alg)
	h.KID, _ = StringValue(members.KID)
	h.Typ, _ = StringValue(members.Typ)
	return h, nil
}

// Decode reads the payload into a struct as strict JSON: one object, valid UTF-8, no duplicate names, at
// most 16 levels, and no name that equals a known one only when case is ignored, such as SUB. Known are the
// names of the struct's fields, also below the top level, and those given besides; payloads/id is a name in the
// objects of payloads, for a struct that takes those as a jsontext.Value. Other members are ignored.
//
// A field of type jsontext.Value takes any JSON; its Kind tells what came: 0 means missing. A null leaves a
// field of another type at its zero value. Errors are *Error, with CodeJSON or CodeType.
func (t *Token) Decode(into any, known ...string) error {
	return decodeStrict("payload", t.payload, into, known...)
}

// Payload returns the decoded payload. The caller must not change it.
func (t *Token) Payload() []byte { return t.payload }

// Signature returns the decoded signature. The caller must not change it.
func (t *Token) Signature() []byte { return t.signature }

// ID returns the SHA-256 of the signing input, which names what was signed whatever its signature is. It is
// computed at each call.
func (t *Token) ID() [32]byte { return sha256.Sum256(t.input) }

// Verify checks the signature with RS512. Errors are *Error, with CodeAlg where the header names another
// algorithm and CodeSignature where the signature does not hold.
func (t *Token) Verify(key *Key) error { return t.VerifyAlg(key, rs512.name) }

// VerifyAlg is Verify with one of the given algorithms, out of RS256 and RS512.
func (t *Token) VerifyAlg(key *Key, allowed ...string) error {
	for _, method := range []*method{rs512, rs256} {
		if t.Header.Alg == method.name && slices.Contains(allowed, method.name) {
			return method.verify(t.input, t.signature, key)
		}
	}
	return &Error{Code: CodeAlg, Text: fmt.Sprintf("the token's alg must be one of %q", allowed)}
}
