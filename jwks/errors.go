package jwks

import "errors"

// Code is a stable word for what is wrong with a token.
type Code string

// The codes of an Error.
const (
	CodeMalformed Code = "malformed" // does not match Pattern: not three base64url segments
	CodeBase64    Code = "base64"    // a segment is not canonical unpadded base64url
	CodeJSON      Code = "json"      // header or payload is not a JSON object that passes the strict rules of Decode
	CodeType      Code = "type"      // a known member is of another JSON type than the struct it is read into
	CodeCrit      Code = "crit"      // the header names critical extensions; none is supported
	CodeAlg       Code = "alg"       // the header's alg is not one the caller allows
	CodeSignature Code = "signature" // the signature is invalid
)

// Error is returned by Parse, Decode and Verify. Text is for people and holds no value from the token.
type Error struct {
	Code   Code
	Text   string
	Member string // for CodeType: a JSON pointer to the member, such as /payloads/1/id
}

func (e *Error) Error() string { return e.Text }

// CodeOf returns the code of the *Error in err's chain, or "".
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
