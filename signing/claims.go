package signing

import (
	"encoding/base64"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// maxAhead is how far ahead of now a JWT's exp may lie (contract: signing-service §1).
const maxAhead = 10 * time.Minute

// maxID bounds a payload's id in bytes.
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

// readClaims takes the payload apart and finds out who it says it is from.
func readClaims(jws *jwks.Token) (*claims, error) {
	read := &claims{}
	err := jws.Decode(&read.raw, "iss", "sub", "aud", "iat", "exp", "algorithm", "payloads")
	if err != nil {
		return nil, asMalformed(err)
	}
	if read.iss, err = requiredString("iss", read.raw.Iss); err != nil {
		return nil, err
	}
	// Both are wanted by the access check that follows the signature; what is wrong with them is told later.
	read.sub, _ = requiredString("sub", read.raw.Sub)
	read.algorithm, _ = requiredString("algorithm", read.raw.Algorithm)
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
	if _, err = requiredString("sub", c.raw.Sub); err != nil {
		return err
	}
	aud, err := requiredString("aud", c.raw.Aud)
	if err != nil {
		return err
	}
	if _, err = requiredString("algorithm", c.raw.Algorithm); err != nil {
		return err
	}
	if missing(c.raw.Payloads) {
		return badClaims("claims", `"payloads" is required`)
	}
	switch {
	case aud != audience:
		return badClaims("claims", `"aud" must be [%s]`, audience)
	case !c.exp.After(now.Add(-skew)):
		return badClaims("claims", `"exp" is in the past; make a new JWT for each request`)
	case c.exp.After(now.Add(maxAhead + skew)):
		return badClaims("claims", `"exp" is more than 10 minutes ahead`)
	case iat.After(now.Add(skew)):
		return badClaims("claims", `"iat" is in the future; check the clock of the machine that makes the JWT`)
	case bound && !twelveDigits(c.sub):
		return badClaims("claims", `"sub" must be the SDS user id of the person who signs, twelve digits`)
	case !client.allows(c.algorithm):
		return badClaims("algorithm", `"algorithm" is not one of those this client may use`).
			withDetail("client %s may use %v", c.iss, client.Algorithms)
	}
	return nil
}

// decodePayloads reads the payloads and holds each to the rules (contract: signing-service §1, Errors).
func (c *claims) decodePayloads() ([]item, error) {
	var raw []struct {
		ID      jsontext.Value `json:"id"`
		Payload jsontext.Value `json:"payload"`
	}
	if c.raw.Payloads.Kind() != '[' {
		return nil, badClaims("payloads", `"payloads" must be an array`)
	}
	if err := json.Unmarshal(c.raw.Payloads, &raw); err != nil {
		return nil, badClaims("payloads", `"payloads" must be an array of objects with "id" and "payload"`)
	}
	switch {
	case len(raw) == 0:
		return nil, badClaims("payloads", `"payloads" must contain at least 1 items`)
	case len(raw) > MaxPayloads:
		return nil, badClaims("payloads", `"payloads" must contain less than or equal to %d items`, MaxPayloads)
	}
	items := make([]item, len(raw))
	seen := make(map[string]bool, len(raw))
	for i := range raw {
		id, ok := jwks.StringValue(raw[i].ID)
		switch {
		case missing(raw[i].ID):
			return nil, badClaims("payloads", `"payloads[%d].id" is required`, i)
		case !ok || id == "" || len(id) > maxID:
			return nil, badClaims("payloads", `"payloads[%d].id" must be a string of 1 to %d bytes`, i, maxID)
		case seen[id]:
			return nil, badClaims("payloads", `"payloads[%d]" contains a duplicate value`, i)
		}
		seen[id] = true
		payload, err := c.decodePayload(i, raw[i].Payload)
		if err != nil {
			return nil, err
		}
		items[i] = item{ID: id, Payload: payload}
	}
	return items, nil
}

func (c *claims) decodePayload(i int, raw jsontext.Value) ([]byte, error) {
	text, ok := jwks.StringValue(raw)
	switch {
	case missing(raw):
		return nil, badClaims("payloads", `"payloads[%d].payload" is required`, i)
	case !ok:
		return nil, badClaims("payloads", `"payloads[%d].payload" must be a string`, i)
	case text == "":
		return nil, badClaims("payloads", `"payloads[%d].payload" is not allowed to be empty`, i)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodedLen(len(payload)) != len(text) { // the decoder skips line breaks
		return nil, badClaims("payloads", `"payloads[%d].payload" must be a valid base64 string`, i)
	}
	if uri, named := methodOf(payload); named && signatureMethods[uri] != c.algorithm {
		return nil, badClaims("algorithm", `"payloads[%d].payload" names another SignatureMethod than "algorithm"`, i)
	}
	return payload, nil
}

func missing(raw jsontext.Value) bool { return len(raw) == 0 }

func requiredString(name string, raw jsontext.Value) (string, error) {
	text, ok := jwks.StringValue(raw)
	switch {
	case missing(raw):
		return "", badClaims("claims", `"%s" is required`, name)
	case !ok:
		return "", badClaims("claims", `"%s" must be a string`, name)
	case text == "":
		return "", badClaims("claims", `"%s" is not allowed to be empty`, name)
	}
	return text, nil
}

func requiredDate(name string, raw jsontext.Value) (time.Time, error) {
	if missing(raw) {
		return time.Time{}, badClaims("claims", `"%s" is required`, name)
	}
	date, ok := jwks.NumericDate(raw)
	if !ok {
		return time.Time{}, badClaims("claims", `"%s" must be a number of seconds since 1970`, name)
	}
	return date, nil
}

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
