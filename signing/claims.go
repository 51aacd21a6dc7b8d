package signing

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// maxAhead is how far ahead of now a JWT's exp may lie (SIG-1.7).
const maxAhead = 10 * time.Minute

// maxID bounds a payload's id and a user's, in bytes.
const maxID = 256

// claims is a JWT's payload. Until its signature holds only iss is looked at.
type claims struct {
	iss, sub, algorithm string
	exp                 time.Time
	raw                 rawClaims
}

type rawClaims struct {
	Iss       jsontext.Value `json:"iss"`
	Sub       jsontext.Value `json:"sub"`
	Aud       jsontext.Value `json:"aud"`
	Iat       jsontext.Value `json:"iat"`
	Exp       jsontext.Value `json:"exp"`
	Nbf       jsontext.Value `json:"nbf"`
	Algorithm jsontext.Value `json:"algorithm"`
	Payloads  jsontext.Value `json:"payloads"`
}

// item is one payload: its id, and the bytes that are signed.
type item struct {
	ID      string
	Payload []byte
}

const claimsPrefix = "JWT payload is not valid. "

func badClaims(code, format string, args ...any) *Error {
	return badRequest(code, claimsPrefix+format, args...)
}

// readClaims takes the payload apart.
func readClaims(jws *jwks.Token) (*claims, error) {
	read := &claims{}
	if err := jws.Decode(&read.raw, "payloads/id", "payloads/payload"); err != nil {
		return nil, asMalformed(err)
	}
	// Wanted by the access check that follows the signature; what is wrong with it is told later.
	read.sub, _ = jwks.StringValue(read.raw.Sub)
	return read, nil
}

// checkClaims holds the claims to what is allowed; it is called once the signature holds.
func (c *claims) checkClaims(audience string, client Client, now time.Time, skew time.Duration, bound bool) error {
	iat, err := requiredDate("iat", c.raw.Iat)
	if err != nil {
		return err
	}
	if c.exp, err = requiredDate("exp", c.raw.Exp); err != nil {
		return err
	}
	nbf := iat
	if !missing(c.raw.Nbf) {
		if nbf, err = requiredDate("nbf", c.raw.Nbf); err != nil {
			return err
		}
	}
	if c.sub, err = requiredString("sub", c.raw.Sub); err != nil {
		return err
	}
	aud, err := requiredString("aud", c.raw.Aud)
	if err != nil {
		return err
	}
	if c.algorithm, err = requiredString("algorithm", c.raw.Algorithm); err != nil {
		return err
	}
	if missing(c.raw.Payloads) {
		return badClaims("claims", `"payloads" is required`).because("claim payloads", "1 to 250 items", "nothing")
	}
	switch {
	case aud != audience:
		return badClaims("claims", `"aud" must be [%s]`, audience).because("claim aud", audience, quoted(aud))
	case !c.exp.After(now.Add(-skew)):
		return badClaims("claims", `"exp" is in the past; make a new JWT for each request`).
			because("claim exp", "after "+instant(now.Add(-skew)), instant(c.exp))
	case c.exp.After(now.Add(maxAhead + skew)):
		return badClaims("claims", `"exp" is more than 10 minutes ahead`).
			because("claim exp", "at most "+instant(now.Add(maxAhead+skew)), instant(c.exp))
	case iat.After(now.Add(skew)):
		return badClaims("claims", `"iat" is in the future; check the clock of the machine that makes the JWT`).
			because("claim iat", "at most "+instant(now.Add(skew)), instant(iat))
	case nbf.After(now.Add(skew)):
		return badClaims("claims", `"nbf" is in the future; send the JWT once it is valid, or check the clock of the machine that makes it`).
			because("claim nbf", "at most "+instant(now.Add(skew)), instant(nbf))
	case len(c.sub) > maxID:
		return badClaims("claims", `"sub" must be a string of 1 to %d bytes`, maxID).
			because("claim sub", fmt.Sprintf("1 to %d bytes", maxID), fmt.Sprintf("%d bytes", len(c.sub)))
	case bound && !twelveDigits(c.sub):
		return badClaims("claims", `"sub" must be the SDS user id of the person who signs, twelve digits`).
			because("claim sub", "twelve digits", fmt.Sprintf("%d bytes, not all of them digits or not twelve", len(c.sub)))
	case !client.allows(c.algorithm):
		return badClaims("algorithm", `"algorithm" is not one of those this client may use`).
			because("claim algorithm", "one of "+strings.Join(client.algorithms(), ", "), quoted(c.algorithm))
	}
	return nil
}

// decodePayloads reads the payloads one by one, so that it never holds more than a request may have, and holds each
// to the rules (SIG-1.25 to SIG-1.27, SIG-1.31, SIG-1.32).
func (c *claims) decodePayloads() ([]item, error) {
	if c.raw.Payloads.Kind() != '[' {
		return nil, badClaims("payloads", `"payloads" must be an array`)
	}
	// That it is JSON without duplicate names is known.
	reader := jsontext.NewDecoder(bytes.NewBuffer(c.raw.Payloads), jsontext.AllowDuplicateNames(true))
	if _, err := reader.ReadToken(); err != nil {
		return nil, badClaims("payloads", `"payloads" must be an array`)
	}
	var items []item
	var raw rawItem
	seen := map[string]bool{}
	for reader.PeekKind() != ']' {
		i := len(items)
		if i == MaxPayloads {
			return nil, badClaims("payloads", `"payloads" must contain less than or equal to %d items`, MaxPayloads)
		}
		raw.ID, raw.Payload = raw.ID[:0], raw.Payload[:0]
		if err := json.UnmarshalDecode(reader, &raw); err != nil {
			return nil, badClaims("payloads", `"payloads[%d]" must be an object with "id" and "payload"`, i)
		}
		it, err := raw.decode(i, c.algorithm)
		if err != nil {
			return nil, err
		}
		if seen[it.ID] {
			return nil, badClaims("payloads", `"payloads[%d]" contains a duplicate value`, i)
		}
		seen[it.ID] = true
		items = append(items, it)
	}
	if len(items) == 0 {
		return nil, badClaims("payloads", `"payloads" must contain at least 1 items`)
	}
	return items, nil
}

// rawItem is one of the payloads as it came.
type rawItem struct {
	ID      jsontext.Value `json:"id"`
	Payload jsontext.Value `json:"payload"`
}

func (r *rawItem) decode(i int, algorithm string) (item, error) {
	id, ok := jwks.StringValue(r.ID)
	switch {
	case missing(r.ID):
		return item{}, badClaims("payloads", `"payloads[%d].id" is required`, i)
	case !ok || id == "" || len(id) > maxID:
		return item{}, badClaims("payloads", `"payloads[%d].id" must be a string of 1 to %d bytes`, i, maxID)
	case missing(r.Payload):
		return item{}, badClaims("payloads", `"payloads[%d].payload" is required`, i)
	case r.Payload.Kind() != '"':
		return item{}, badClaims("payloads", `"payloads[%d].payload" must be a string`, i)
	}
	text := r.Payload[1 : len(r.Payload)-1]
	if bytes.IndexByte(text, '\\') >= 0 { // base64 needs no escapes, but may have some
		text, _ = jsontext.AppendUnquote(nil, r.Payload)
	}
	if len(text) == 0 {
		return item{}, badClaims("payloads", `"payloads[%d].payload" is not allowed to be empty`, i)
	}
	payload := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(payload, text)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(text) { // the decoder skips line breaks
		return item{}, badClaims("payloads", `"payloads[%d].payload" must be a valid base64 string`, i)
	}
	payload = payload[:n]
	if uri, named := methodOf(payload); named && signatureMethods[uri] != algorithm {
		return item{}, badClaims("algorithm", `"payloads[%d].payload" names another SignatureMethod than "algorithm"`, i).
			because("SignatureMethod of a payload", algorithm, quoted(uri))
	}
	return item{ID: id, Payload: payload}, nil
}

func missing(raw jsontext.Value) bool { return len(raw) == 0 }

func requiredString(name string, raw jsontext.Value) (string, error) {
	refused := func(format, got string) error {
		return badClaims("claims", format, name).because("claim "+name, "a string", got)
	}
	text, ok := jwks.StringValue(raw)
	switch {
	case missing(raw):
		return "", refused(`"%s" is required`, "nothing")
	case !ok:
		return "", refused(`"%s" must be a string`, "another type")
	case text == "":
		return "", refused(`"%s" is not allowed to be empty`, "an empty string")
	}
	return text, nil
}

func requiredDate(name string, raw jsontext.Value) (time.Time, error) {
	if missing(raw) {
		return time.Time{}, badClaims("claims", `"%s" is required`, name).because("claim "+name, "a NumericDate", "nothing")
	}
	date, ok := jwks.NumericDate(raw)
	if !ok {
		return time.Time{}, badClaims("claims", `"%s" must be a number of seconds since 1970`, name).
			because("claim "+name, "a NumericDate", "something else")
	}
	return date, nil
}

// instant is a time as an operator compares it with a clock.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func twelveDigits(sub string) bool {
	if len(sub) != 12 {
		return false
	}
	for i := range len(sub) {
		if sub[i] < '0' || sub[i] > '9' {
			return false
		}
	}
	return true
}
