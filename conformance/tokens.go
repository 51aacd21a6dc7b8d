package conformance

import (
	"net/http"
	"time"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	inAssertion   = " in client_assertion JWT"

	invalidRequest = "invalid_request"
	keyError       = "public_key error"
)

// granted is a token request that succeeds unless its assertion is changed.
func granted(change JWT) Request {
	return Request{Path: "/token", Assertion: &change, Form: map[string]string{"grant_type": "client_credentials", "client_assertion_type": assertionType}}
}

// with changes a parameter of a form; without removes one.
func with(q Request, name, value string) Request {
	form := map[string]string{}
	for n, v := range q.Form {
		form[n] = v
	}
	form[name] = value
	q.Form = form
	return q
}

func without(q Request, name string) Request {
	q = with(q, name, "")
	delete(q.Form, name)
	if name == "client_assertion" {
		q.Assertion = nil
	}
	return q
}

// refused is the shape of the token service's errors (TOK-1.5).
func refused(status int, code, description string) Want {
	return Want{
		Status: status, Header: map[string]Matcher{"Content-Type": Matches(`application/json(;.*)?`)},
		JSON: map[string]Matcher{"error": Is(code), "error_description": Is(description), "message_id": Present, "access_token": Absent},
	}
}

func header(name string, value any) JWT { return JWT{Header: map[string]any{name: value}} }
func claim(name string, value any) JWT  { return JWT{Claims: map[string]any{name: value}} }

// tokenCases are the rows of TOK-1 and TOK-2.
func tokenCases() []Case {
	row := func(rule, name string, q Request, want Want) Case {
		return Case{Section: Tokens, Rule: "TOK-" + rule, Name: name, Request: q, Want: want}
	}
	ir := func(description string) Want { return refused(http.StatusBadRequest, invalidRequest, description) }
	good := granted(JWT{})
	var (
		badExp  = "Invalid 'exp' claim" + inAssertion
		badIss  = "Missing or non-matching 'iss'/'sub' claims" + inAssertion
		badJTI  = "Invalid 'jti' claim" + inAssertion + " - must be a unique string value such as a GUID"
		badType = "Missing or invalid client_assertion_type - must be '" + assertionType + "'"
		badAlg  = "Invalid 'alg' header" + inAssertion + " - unsupported JWT algorithm - must be 'RS512'"
		badTyp  = "Invalid 'typ' header" + inAssertion + " - must be 'JWT'"
		unknown = "Invalid 'iss'/'sub' claims" + inAssertion
		noKey   = "You need to register a public key to use this authentication method - please contact support to configure"
		noAud   = "Missing or invalid 'aud' claim" + inAssertion
		noScope = "you have tried to request authorization but your application is not configured to use this authorization grant type"
	)
	cases := []Case{
		row("1.4", "", good, Want{
			Status: http.StatusOK, Header: map[string]Matcher{"Content-Type": Matches(`application/json(;.*)?`)},
			JSON: map[string]Matcher{
				"access_token": Matches(`\S{20,}`), "expires_in": Matches(`[0-9]{1,5}`), "token_type": Is("Bearer"),
				"issued_at": Matches(`[0-9]{13}`), "refresh_token": Absent,
			},
		}),
		row("1.2", "typ in lower case", granted(header("typ", "jwt")), Want{Status: http.StatusOK}),
		row("1.8", "", Request{Method: http.MethodOptions, Path: "/token", Header: map[string]string{
			"Origin": "https://app.example", "Access-Control-Request-Method": http.MethodPost,
		}}, Want{Status: http.StatusOK, Header: map[string]Matcher{
			"Access-Control-Allow-Origin": Is("https://app.example"), "Access-Control-Allow-Methods": Is("GET, PUT, POST, DELETE"), "Access-Control-Max-Age": Is("600"),
		}}),
		row("1.7", "_ping", Request{Path: "/_ping"}, Want{Status: http.StatusOK, JSON: map[string]Matcher{
			"version": Present, "revision": anything, "releaseId": Present, "commitId": anything, // some are empty in a build of one's own
		}}),
		row("2.0", "", Request{Path: "/token"}, Want{Status: http.StatusMethodNotAllowed, Header: map[string]Matcher{"Allow": Is(http.MethodPost)}, Empty: true}),
		row("2.1", "", Request{Path: "/token", Body: "{}", Header: map[string]string{"Content-Type": "application/json"}},
			refused(http.StatusUnsupportedMediaType, invalidRequest, "Content-Type header must be application/x-www-form-urlencoded")),
		row("2.2", "", without(good, "grant_type"), ir("grant_type is missing")),
		row("2.3", "", with(good, "grant_type", "password"), refused(http.StatusBadRequest, "unsupported_grant_type", "grant_type is invalid")),
		row("2.4", "missing", without(good, "client_assertion_type"), ir(badType)),
		row("2.4", "wrong", with(good, "client_assertion_type", "jwt"), ir(badType)),
		row("2.5", "", without(good, "client_assertion"), ir("Missing client_assertion")),
		row("2.6", "no JWT", granted(JWT{Raw: "jwt"}), ir("Malformed JWT in client_assertion")),
		row("2.6", "no JSON", granted(JWT{Raw: "x.y.z"}), ir("Malformed JWT in client_assertion")),
		row("2.7", "RS256", granted(header("alg", "RS256")), ir(badAlg)),
		row("2.7", "none", granted(header("alg", "none")), ir(badAlg)),
		row("2.7", "missing", granted(header("alg", nil)), ir(badAlg)),
		row("2.8", "", granted(claim("exp", FromNow(-10*time.Second))), ir(badExp+" - JWT has expired")),
		row("2.8", "a string", granted(claim("exp", FromNowText(-10*time.Second))), ir(badExp+" - JWT has expired")),
		row("2.9", "", granted(header("kid", nil)), ir("Missing 'kid' header"+inAssertion)),
		row("2.10", "missing", granted(header("typ", nil)), ir(badTyp)),
		row("2.10", "wrong", granted(header("typ", "at+jwt")), ir(badTyp)),
		row("2.11", "", granted(claim("exp", nil)), ir("Missing 'exp' claim"+inAssertion)),
		row("2.12", "", granted(claim("exp", FromNowText(lifetime))), ir(badExp+" - must be an integer")),
		row("2.13", "no sub", granted(claim("sub", nil)), ir(badIss)),
		row("2.13", "no iss", granted(claim("iss", nil)), ir(badIss)),
		row("2.13", "unequal", granted(claim("sub", "another")), ir(badIss)),
		row("2.14", "", granted(claim("jti", nil)), ir("Missing 'jti' claim"+inAssertion)),
		row("2.15", "", granted(claim("jti", 1)), ir(badJTI)),
		row("2.17", "", granted(claim("exp", FromNow(time.Hour))), ir(badExp+" - more than 5 minutes in future")),
		row("2.18", "unknown", granted(JWT{Claims: map[string]any{"iss": "no-such-client", "sub": "no-such-client"}}), refused(http.StatusUnauthorized, invalidRequest, unknown)),
		row("2.18", "revoked", good, refused(http.StatusUnauthorized, invalidRequest, unknown)).as(RoleRevoked),
		row("2.20", "", good, refused(http.StatusForbidden, keyError, noKey)).as(RoleKeyless),
		row("2.21", "", good, refused(http.StatusForbidden, keyError, "The JWKS endpoint, for your client_assertion can't be reached")).as(RoleAway),
		row("2.22", "", granted(header("kid", "no-such-kid")), refused(http.StatusUnauthorized, invalidRequest, "Invalid 'kid' header"+inAssertion+" - no matching public key")),
		row("2.23", "", granted(JWT{Forged: true}), refused(http.StatusUnauthorized, keyError, "JWT signature verification failed")),
		row("2.24", "missing", granted(claim("aud", nil)), refused(http.StatusUnauthorized, invalidRequest, noAud)),
		row("2.24", "another", granted(claim("aud", "https://another.example/oauth2/token")), refused(http.StatusUnauthorized, invalidRequest, noAud)),
		row("2.25", "", good, refused(http.StatusUnauthorized, "unauthorized_client", noScope)).as(RoleScopeless),
		row("2.27", "", Request{Path: "/tokens", Form: good.Form}, refused(http.StatusNotFound, invalidRequest, "Not Found")),
		row("8.13", "", Request{Path: "/_status"}, Want{Status: http.StatusUnauthorized, JSON: map[string]Matcher{
			"error": Is("Access Denied"), "error_description": Is("Invalid api key for _status monitoring endpoint"),
		}}),
	}
	used := row("2.16", "", Request{Path: "/token", Form: with(good, "client_assertion", "{assertion}").Form}, ir("Non-unique 'jti' claim"+inAssertion))
	used.Before = []Request{{Path: "/token", Form: used.Request.Form}}
	return append(cases, used)
}

// as has a case run with another client.
func (c Case) as(role Role) Case {
	c.Role = role
	return c
}
