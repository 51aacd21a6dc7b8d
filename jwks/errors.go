package jwks

import "errors"

// Code says, in a stable word, what was wrong with a token.
type Code string

// The codes of an Error.
const (
	CodeMalformed Code = "malformed" // not of the Pattern: not three base64url segments
	CodeBase64    Code = "base64"    // a segment is not canonical unpadded base64url
	CodeJSON      Code = "json"      // header or payload is not the strict JSON object we read
	CodeType      Code = "type"      // a known member is of another JSON type than the struct it is read into
	CodeCrit      Code = "crit"      // the header names critical extensions; we understand none
	CodeAlg       Code = "alg"       // the header's alg is not the one asked for
	CodeSignature Code = "signature" // the signature does not hold
)

// Error is what Parse, Decode and Verify return. Text is for people and holds no value of the token.
type Error struct {
	Code   Code
	Text   string
	Member string // for CodeType: the member as a JSON pointer, such as /payloads/1/id
}

func (e *Error) Error() string { return e.Text }

// CodeOf returns the code of the *Error in err's chain, or "".
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
