package oauth

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// assertion is a client's JWT, read strictly and not believed.
type assertion struct {
	jws *jwks.Token // of an unsecured JWT: with a signature that no key verifies
	alg string
	claims
}

// claims are those that are looked at, of whatever JSON type they came.
type claims struct {
	Issuer   jsontext.Value `json:"iss"`
	Subject  jsontext.Value `json:"sub"`
	Audience jsontext.Value `json:"aud"`
	ID       jsontext.Value `json:"jti"`
	Expires  jsontext.Value `json:"exp"`
}

// parseAssertion takes a compact JWT apart. An unsecured one (RFC 7519 §6: nothing after the second dot) can be
// read too, so that it is told what is wrong with it; its alg none verifies with no key.
func parseAssertion(compact string) (*assertion, error) {
	jws, err := jwks.Parse([]byte(compact))
	if err != nil && strings.HasSuffix(compact, ".") {
		if unsecured, plain := jwks.Parse([]byte(compact + "AA")); plain == nil && unsecured.Header.Alg == "none" {
			a := &assertion{jws: unsecured, alg: unsecured.Header.Alg}
			return a, unsecured.Decode(&a.claims)
		}
	}
	if err != nil {
		return nil, err
	}
	a := &assertion{jws: jws, alg: jws.Header.Alg}
	if err := jws.Decode(&a.claims); err != nil {
		return nil, err
	}
	return a, nil
}

// missing says whether a claim is not there; null and "" are nothing either.
func missing(claim jsontext.Value) bool {
	kind := claim.Kind()
	text, isText := jwks.StringValue(claim)
	return kind == 0 || kind == jsontext.KindNull || isText && text == ""
}

// seconds reads the number in exp, which is in a string with some senders, as seconds since 1970.
func (c *claims) seconds() (float64, bool) {
	number := c.Expires
	if text, ok := jwks.StringValue(number); ok {
		number = jsontext.Value(text)
	}
	if number.Kind() != jsontext.KindNumber || !number.IsValid() {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(number)), 64)
	return seconds, err == nil || errors.Is(err, strconv.ErrRange)
}

// expiresAt is exp as an instant; it is asked for only when seconds lies within minutes of now.
func (c *claims) expiresAt() time.Time {
	seconds, _ := c.seconds()
	return time.UnixMilli(int64(seconds * 1000))
}

// secondsOf is an instant as exp has it.
func secondsOf(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

func (c *claims) client() string {
	iss, _ := jwks.StringValue(c.Issuer)
	return iss
}

func (c *claims) jti() string {
	jti, _ := jwks.StringValue(c.ID)
	return jti
}
