package conformance

import (
	"net/http"
	"time"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	idTokenType   = "urn:ietf:params:oauth:token-type:id_token"
	inSubject     = " in subject_token JWT"

	noUserInfo = "The Userinfo endpoint is only supported for Combined Auth integrations. Currently this is only for NHS CIS2 authentications - for more guidance see " +
		"https://digital.nhs.uk/developer/guides-and-documentation/security-and-authorisation/user-restricted-restful-apis-nhs-cis2-combined-authentication-and-authorisation"
)

// userTokenCases are those rows of TOK-5, TOK-6 and TOK-8 that need no person.
func userTokenCases() []Case {
	row := func(rule, name string, q Request, want Want) Case {
		return Case{Section: UserTokens, Rule: "TOK-" + rule, Name: name, Request: q, Want: want}
	}
	ir := func(status int, description string) Want { return refused(status, invalidRequest, description) }
	const unauthorized, bad = http.StatusUnauthorized, http.StatusBadRequest
	code := Request{Path: "/token", Form: map[string]string{
		"grant_type": "authorization_code", "client_id": "{client}", "client_secret": "{secret}", "redirect_uri": "{redirect_uri}", "code": "no-such-code",
	}}
	refresh := Request{Path: "/token", Form: map[string]string{
		"grant_type": "refresh_token", "client_id": "{client}", "client_secret": "{secret}", "refresh_token": "no-such-token",
	}}
	invalidClient := refused(unauthorized, "invalid_client", "client_id or client_secret is invalid")
	cases := []Case{
		row("5.3", "no client_id", without(code, "client_id"), ir(unauthorized, "client_id is missing")),
		row("5.3", "no client_secret", without(code, "client_secret"), ir(unauthorized, "client_secret is missing")),
		row("5.4", "unknown client", with(code, "client_id", "no-such-client"), invalidClient),
		row("5.4", "wrong secret", with(code, "client_secret", "no-such-secret"), invalidClient),
		row("5.5", "missing", without(code, "redirect_uri"), ir(bad, "redirect_uri is missing")),
		row("5.5", "another", with(code, "redirect_uri", "https://another.example/in"), ir(bad, "redirect_uri is invalid")),
		row("5.6", "", without(code, "code"), ir(bad, "authorization_code is missing")),
		row("5.7", "", code, refused(bad, "invalid_grant", "authorization_code is invalid")),
		row("5.8", "", without(refresh, "refresh_token"), ir(bad, "refresh_token is missing")),
		row("5.9", "", refresh, refused(unauthorized, "invalid_grant", "refresh_token is invalid")),
		row("5.23", "", Request{Path: "/callback", Query: map[string]string{"code": "x", "state": "no-such-state"}}, ir(bad, "Invalid state parameter.")),
		row("5.24", "", Request{Path: "/userinfo", Bearer: true}, ir(bad, noUserInfo)),
		row("8.5", "no JWT", Request{Path: "/backchannel_logout", Form: map[string]string{"logout_token": "x.y.z"}}, ir(bad, "Unable to verify JWT")),
		row("8.5", "missing", Request{Path: "/backchannel_logout", Form: map[string]string{}}, ir(bad, "Unable to verify JWT")),
	}
	cases = append(cases, authorizeCases()...)
	return append(cases, exchangeCases()...)
}

// authorizeCases are the refusals of /authorize (TOK-5.14 to TOK-5.21).
func authorizeCases() []Case {
	good := map[string]string{"client_id": "{client}", "redirect_uri": "{redirect_uri}", "response_type": "code", "state": "state-of-conformance"}
	row := func(rule, name, changed, value string, want Want) Case {
		query := map[string]string{}
		for n, v := range good {
			query[n] = v
		}
		query[changed] = value
		if value == "" {
			delete(query, changed)
		}
		return Case{Section: UserTokens, Rule: "TOK-" + rule, Name: name, Request: Request{Path: "/authorize", Query: query}, Want: want}
	}
	// back is the answer by redirect.
	back := func(pattern string) Want {
		return Want{Status: http.StatusFound, Header: map[string]Matcher{"Location": Matches(`https?://[^?]+\?(.*&)?` + pattern)}}
	}
	ir := func(status int, description string) Want { return refused(status, invalidRequest, description) }
	return []Case{
		{Section: UserTokens, Rule: "TOK-5.14", Request: Request{Method: http.MethodDelete, Path: "/authorize", Query: good}, Want: Want{Status: http.StatusMethodNotAllowed}},
		row("5.15", "missing", "redirect_uri", "", ir(http.StatusBadRequest, "redirect_uri is missing")),
		row("5.15", "another", "redirect_uri", "https://another.example/in", ir(http.StatusBadRequest, "redirect_uri is invalid")),
		row("5.16", "missing", "client_id", "", ir(http.StatusUnauthorized, "client_id is missing")),
		row("5.16", "unknown", "client_id", "no-such-client", ir(http.StatusUnauthorized, "client_id is invalid")),
		row("5.19", "", "state", "", back(`error=invalid_request&error_description=state(\+|%20)is(\+|%20)missing.*`)),
		row("5.20", "", "response_type", "", back(`error=invalid_request&error_description=response_type(\+|%20)is(\+|%20)missing&(.*&)?state=state-of-conformance.*`)),
		row("5.21", "", "response_type", "token", back(`error=unsupported_response_type&error_description=response_type(\+|%20)is(\+|%20)invalid&(.*&)?state=state-of-conformance.*`)),
	}
}

// exchangeCases are the rows of TOK-6.
func exchangeCases() []Case {
	exchange := func(change JWT) Request {
		return Request{Path: "/token", Assertion: &JWT{}, Subject: &change, Form: map[string]string{
			"grant_type": exchangeGrant, "client_assertion_type": assertionType, "subject_token_type": idTokenType,
		}}
	}
	none := func(q Request) Request { q.Subject = nil; return q }
	row := func(rule, name string, q Request, status int, description string) Case {
		return Case{Section: UserTokens, Rule: "TOK-6." + rule, Name: name, Request: q, Want: refused(status, invalidRequest, description)}
	}
	good := exchange(JWT{})
	const bad = http.StatusBadRequest
	badType := "missing or invalid subject_token_type - must be '" + idTokenType + "'"
	return []Case{
		row("1", "another", with(good, "grant_type", "client_credentials"), bad, "grant_type is invalid"),
		row("1", "missing", without(good, "grant_type"), bad, "grant_type is invalid"),
		row("2", "no assertion", without(good, "client_assertion"), bad, "Missing client_assertion"),
		row("3", "missing", without(good, "subject_token_type"), bad, badType),
		row("3", "wrong", with(good, "subject_token_type", "jwt"), bad, badType),
		row("4", "", none(good), bad, "Missing subject_token"),
		row("5", "", exchange(JWT{Raw: "x.y.z"}), bad, "Malformed JWT in subject_token"),
		row("6", "", exchange(header("kid", nil)), bad, "Missing 'kid' header"+inSubject),
		row("7", "", exchange(header("typ", "at+jwt")), bad, "Invalid 'typ' header"+inSubject+" - must be 'JWT'"),
		row("8", "", exchange(header("alg", nil)), bad, "Missing 'alg' header"+inSubject),
		row("9", "", exchange(claim("exp", nil)), bad, "Missing 'exp' claim"+inSubject),
		row("10", "", exchange(claim("exp", "soon")), bad, "Invalid 'exp' claim"+inSubject+" - must be an integer"),
		row("11", "", exchange(claim("exp", FromNow(-time.Minute))), bad, "Invalid 'exp' claim"+inSubject+" - JWT has expired"),
		row("12", "", exchange(claim("iss", nil)), bad, "Missing 'iss' claim"+inSubject),
		row("13", "", exchange(claim("aud", nil)), http.StatusUnauthorized, "Missing 'aud' claim"+inSubject),
		row("14", "", good, bad, "Missing or non-matching 'iss' claim"+inSubject),
	}
}
