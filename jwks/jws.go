package jwks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Pattern is what a whole compact JWS must match (SIG-1.4), without the slashes that error texts put around
// it. Parse checks it by hand.
const Pattern = `^[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?$`

// Header is the part of a JOSE header that is read. A field is "" if the member is missing or not a string.
type Header struct{ Alg, KID, Typ string }

// Token is a strictly parsed compact JWS. Nothing in it is proven before Verify has returned nil.
type Token struct {
	Header Header

	payload   []byte // JSON, not parsed yet
	input     []byte // the signing input: header and payload segment with the dot between; part of Parse's argument
	signature []byte
}

// canonical decodes base64url without padding whose unused bits are zero. It would skip line breaks, but Parse
// lets none through.
var canonical = base64.RawURLEncoding.Strict()

// Parse parses a compact JWS: it must match Pattern, be canonical base64url, and have a header of strict JSON
// without crit. Parse does no cryptography and leaves the payload's JSON to Decode. The token refers to
// compact, which must not be modified while the token is in use. Errors are *Error.
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

// notDecodable returns the error for a token that could not be decoded: either it does not match Pattern or
// it is not canonical. Only failures pay for this second pass.
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
		return Header{}, &Error{Code: CodeCrit, Text: `the token's header has "crit"; critical extensions are not supported (RFC 7515 §4.1.11)`}
	}
	var h Header
	h.Alg, _ = StringValue(members.Alg)
	h.KID, _ = StringValue(members.KID)
	h.Typ, _ = StringValue(members.Typ)
	return h, nil
}

// Decode decodes the payload into a struct as strict JSON: one object, valid UTF-8, no duplicate names, at most
// 16 levels, and no name, such as SUB, that equals a known one only when case is ignored. Known are the names of
// the struct's fields, at every level, and those in known; payloads/id is a name in the objects of payloads, for
// a struct that decodes those as a jsontext.Value. Other members are ignored.
//
// A field of type jsontext.Value accepts any JSON; its Kind is 0 if the member is missing. A null leaves a field
// of another type at its zero value. Errors are *Error with CodeJSON or CodeType.
func (t *Token) Decode(into any, known ...string) error {
	return decodeStrict("payload", t.payload, into, known...)
}

// Payload returns the decoded payload. The caller must not modify it.
func (t *Token) Payload() []byte { return t.payload }

// Signature returns the decoded signature. The caller must not modify it.
func (t *Token) Signature() []byte { return t.signature }

// ID returns the SHA-256 of the signing input. It identifies what was signed, whatever the signature, and is
// computed at each call.
func (t *Token) ID() [32]byte { return sha256.Sum256(t.input) }

// Verify verifies an RS512 signature. Errors are *Error: CodeAlg if the header names another algorithm,
// CodeSignature if the signature is invalid.
func (t *Token) Verify(key *Key) error { return t.VerifyAlg(key, rs512.name) }

// VerifyAlg is Verify for any of the allowed algorithms, each RS256 or RS512.
func (t *Token) VerifyAlg(key *Key, allowed ...string) error {
	for _, method := range []*method{rs512, rs256} {
		if t.Header.Alg == method.name && slices.Contains(allowed, method.name) {
			return method.verify(t.input, t.signature, key)
		}
	}
	return &Error{Code: CodeAlg, Text: fmt.Sprintf("the token's alg must be one of %q", allowed)}
}
