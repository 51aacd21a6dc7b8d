package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// The ways to a token.
const (
	grantClientCredentials = "client_credentials"
	grantCode              = "authorization_code"
	grantRefresh           = "refresh_token"
	grantExchange          = "urn:ietf:params:oauth:grant-type:token-exchange"
)

const (
	assertionTypeJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	maxAhead         = 310 * time.Second // of exp: five minutes and ten seconds of grace
)

// call is one token request on its way through the checks, which fill it in.
type call struct {
	*Service
	form     url.Values
	audience string        // what aud must be
	place    *intake.Taken // of the form
	findKey  func(client, kid string) (*jwks.Key, error)

	assertion *assertion
	id        string // of the client, once it has proved itself
	client    Client
	key       *jwks.Key
	keyError  error  // why there is no key
	detail    string // for the log, where a check knows more than its row says
}

// check is a row of TOK-2: when fails holds, its error is the answer.
type check struct {
	row int
	Error
	fails func(c *call) bool
}

// formChecks are those of the grant's name, rows 2 and 3 among them, which hold for every grant. Rows 0 and 1 are settled before there is a form.
func formChecks() []check {
	return []check{
		{0, bad("grant_type is invalid"), (*call).exchangeOfAnotherName},
		{2, bad("grant_type is missing"), func(c *call) bool { return c.form.Get(paramGrantType) == "" }},
		{3, Error{Status: http.StatusBadRequest, Code: codeGrantType, Description: "grant_type is invalid"}, (*call).otherGrant},
	}
}

// assertionChecks are rows 4 to 24 but for 16 and 19, which the token's own commit settles. What is true of an
// assertion after the last of them: a client that we know has signed it for us, now.
func assertionChecks() []check {
	const jwt = " in client_assertion JWT"
	return []check{
		{4, bad("Missing or invalid client_assertion_type - must be '" + assertionTypeJWT + "'"), (*call).otherAssertionType},
		{5, bad("Missing client_assertion"), (*call).noAssertion},
		{6, bad("Malformed JWT in client_assertion"), (*call).undecodable},
		{7, bad("Invalid 'alg' header" + jwt + " - unsupported JWT algorithm - must be 'RS512'"), (*call).otherAlg},
		{8, bad("Invalid 'exp' claim" + jwt + " - JWT has expired"), (*call).expired},
		{9, bad("Missing 'kid' header" + jwt), (*call).noKID},
		{10, bad("Invalid 'typ' header" + jwt + " - must be 'JWT'"), (*call).otherTyp},
		{11, bad("Missing 'exp' claim" + jwt), (*call).noExp},
		{12, bad("Invalid 'exp' claim" + jwt + " - must be an integer"), (*call).expNotNumber},
		{13, bad("Missing or non-matching 'iss'/'sub' claims" + jwt), (*call).issNotSub},
		{14, bad("Missing 'jti' claim" + jwt), (*call).noJTI},
		{15, bad("Invalid 'jti' claim" + jwt + " - must be a unique string value such as a GUID"), (*call).jtiNotString},
		{17, bad("Invalid 'exp' claim" + jwt + " - more than 5 minutes in future"), (*call).tooFarAhead},
		{18, refused("Invalid 'iss'/'sub' claims" + jwt), (*call).unknownClient},
		{20, Error{Status: http.StatusForbidden, Code: codePublicKey, Description: "You need to register a public key to use this authentication method - please contact support to configure"}, (*call).noKey},
		{21, Error{Status: http.StatusForbidden, Code: codePublicKey, Description: "The JWKS endpoint, for your client_assertion can't be reached"}, (*call).keysUnreachable},
		{22, refused("Invalid 'kid' header" + jwt + " - no matching public key"), (*call).unknownKID},
		{23, Error{Status: http.StatusUnauthorized, Code: codePublicKey, Description: "JWT signature verification failed"}, (*call).wrongSignature},
		{24, refused("Missing or invalid 'aud' claim" + jwt), (*call).otherAudience},
	}
}

// applicationChecks is row 25: what an application needs to hold a token without a user.
func applicationChecks() []check { return []check{{25, notConfigured(), (*call).noScope}} }

// notConfigured is row 25, which is also the answer where no scope is left for a user's level (TOK-7.3).
func notConfigured() Error {
	return Error{
		Status: http.StatusUnauthorized, Code: codeUnauthorized,
		Description: "you have tried to request authorization but your application is not configured to use this authorization grant type",
	}
}

// The rows that only a commit can settle, in the order in which it does.
func overRate() *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: codeRate, Description: "The application is over its rate; ask again after the time in Retry-After"}
}

func jtiUsed() *Error {
	e := bad("Non-unique 'jti' claim in client_assertion JWT")
	return &e
}

func bad(description string) Error {
	return Error{Status: http.StatusBadRequest, Code: codeInvalidRequest, Description: description}
}

func refused(description string) Error {
	return Error{Status: http.StatusUnauthorized, Code: codeInvalidRequest, Description: description}
}

// run goes through checks in their order; the first that fails answers.
func (c *call) run(checks []check) error {
	for i := range checks {
		if checks[i].fails(c) {
			return checks[i].withDetail(c.detail)
		}
	}
	return nil
}

// exchangeOfAnotherName is a form that brings a subject token for another grant (TOK-6.1).
func (c *call) exchangeOfAnotherName() bool {
	return c.form.Has(paramSubjectTokenType) && c.form.Get(paramGrantType) != grantExchange
}

// otherGrant is one that is not known, or one with a user where nobody can sign in.
func (c *call) otherGrant() bool {
	switch c.form.Get(paramGrantType) {
	case grantClientCredentials:
		return false
	case grantCode, grantRefresh, grantExchange:
		return len(c.Providers) == 0
	}
	return true
}

func (c *call) otherAssertionType() bool {
	return c.form.Get(paramAssertionType) != assertionTypeJWT
}

func (c *call) noAssertion() bool { return c.form.Get(paramAssertion) == "" }

func (c *call) undecodable() bool {
	var err error
	if c.assertion, err = parseAssertion(c.form.Get(paramAssertion)); err != nil {
		c.detail = err.Error()
	}
	return err != nil
}

func (c *call) otherAlg() bool { return c.assertion.alg != "RS512" }

func (c *call) expired() bool {
	exp, ok := c.assertion.seconds()
	return ok && exp <= secondsOf(c.Now())
}

func (c *call) noKID() bool { return c.assertion.jws.Header.KID == "" }

func (c *call) otherTyp() bool {
	return !strings.EqualFold(c.assertion.jws.Header.Typ, "JWT")
}

func (c *call) noExp() bool {
	kind := c.assertion.Expires.Kind()
	return kind == 0 || kind == jsontext.KindNull
}

func (c *call) expNotNumber() bool {
	return c.assertion.Expires.Kind() != jsontext.KindNumber
}

func (c *call) issNotSub() bool {
	iss, isText := jwks.StringValue(c.assertion.Issuer)
	sub, alsoText := jwks.StringValue(c.assertion.Subject)
	return !isText || !alsoText || iss == "" || iss != sub
}

func (c *call) noJTI() bool { return missing(c.assertion.ID) }

func (c *call) jtiNotString() bool {
	return c.assertion.ID.Kind() != jsontext.KindString
}

func (c *call) tooFarAhead() bool {
	exp, _ := c.assertion.seconds()
	return exp > secondsOf(c.Now().Add(maxAhead))
}

// unknownClient asks for the key too, once for all the checks that follow, but only for a client that we know:
// strangers cause no fetch.
func (c *call) unknownClient() bool {
	var known bool
	if c.client, known = c.Clients[c.assertion.client()]; !known {
		return true
	}
	c.key, c.keyError = c.findKey(c.assertion.client(), c.assertion.jws.Header.KID)
	if c.keyError != nil {
		c.detail = c.keyError.Error()
	}
	return errors.Is(c.keyError, jwks.ErrUnknownClient)
}

func (c *call) noKey() bool { return errors.Is(c.keyError, jwks.ErrNoKeys) }

func (c *call) keysUnreachable() bool { return errors.Is(c.keyError, jwks.ErrUnreachable) }

// unknownKID is also the answer to any other reason for having no key.
func (c *call) unknownKID() bool { return c.keyError != nil }

func (c *call) wrongSignature() bool {
	if c.assertion.jws.Verify(c.key) != nil {
		return true
	}
	c.proven()
	return false
}

// proven has the form keep its place: its client has proven who it is. Where that comes too late the context has ended.
func (c *call) proven() { _ = c.place.Prove() }

func (c *call) otherAudience() bool {
	aud, ok := jwks.StringValue(c.assertion.Audience)
	return !ok || aud != c.audience
}

func (c *call) noScope() bool { return len(applicationScopes(c.client.Scopes)) == 0 }

// applicationScopes are the scopes that a token without a user carries.
func applicationScopes(scopes []string) []string {
	var held []string
	for _, scope := range scopes {
		if strings.HasPrefix(scope, ScopePrefix) {
			held = append(held, scope)
		}
	}
	return held
}
