package conformance

import (
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	jwtPattern = `Invalid request payload: ".*" fails to match the required pattern: /^[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?$/`
	uuidText   = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	most       = 250 // payloads (SIG-1.9)
)

// signingCases are the rows of SIG-1, SIG-4 and SIG-6 that need neither a person nor a card.
func signingCases() []Case {
	row := func(rule, name string, q Request, want Want) Case {
		return Case{Section: Signing, Rule: "SIG-" + rule, Name: name, Request: q, Want: want}
	}
	ask := func(change JWT) Request { return Request{Path: "/signaturerequest", Bearer: true, Signed: &change} }
	refused := func(status int, text Matcher, code string) Want {
		want := Want{Status: status, JSON: map[string]Matcher{"statusCode": Is(textOf(status)), "error": Is(http.StatusText(status)), "message": text}}
		if code != "" {
			want.JSON["code"] = Is(code)
		}
		return want
	}
	bad := func(message, code string) Want { return refused(http.StatusBadRequest, Is(message), code) }
	pattern := refused(http.StatusBadRequest, Matches(quote(jwtPattern)), "malformed")
	twice := payloads(1)
	twice = append(twice, twice[0])
	good := ask(JWT{})
	cases := []Case{
		row("1.12", "", good, Want{Status: http.StatusOK, JSON: map[string]Matcher{
			"token": Matches(uuidText), "redirectUri": Matches(`https?://\S+/client\?token=` + uuidText + `(&state=.*)?`),
		}}),
		row("1.14", "", Request{Path: "/signaturerequest", Bearer: true, Signed: &JWT{}, Query: map[string]string{"state": "e30="}},
			Want{Status: http.StatusOK, JSON: map[string]Matcher{"redirectUri": Matches(`\S+&state=e30(=|%3D)`)}}),
		row("1.21", "", Request{Path: "/signaturerequest", Bearer: true, Body: "no JWT", Header: map[string]string{"Content-Type": "text/plain"}}, pattern),
		row("1.21", "no signature", ask(JWT{Raw: "eyJ4IjoxfQ.eyJ4IjoxfQ"}), pattern),
		row("1.22", "", ask(header("alg", "RS256")), bad(`JWT header is not valid. "alg" must be [RS512]`, "alg")),
	}
	for _, name := range []string{"alg", "kid", "typ"} {
		cases = append(cases, row("1.23", name, ask(header(name, nil)), bad(`JWT header is not valid. "`+name+`" is required`, name)))
	}
	for _, name := range []string{"iat", "exp", "iss", "sub", "aud", "algorithm", "payloads"} {
		// Who signed is known by iss: without it no key can be found.
		cases = append(cases, row("1.24", name, ask(claim(name, nil)), bad(`JWT payload is not valid. "`+name+`" is required`, "claims")))
	}
	return append(cases, []Case{
		row("1.25", "", ask(claim("payloads", twice)), bad(`JWT payload is not valid. "payloads[1]" contains a duplicate value`, "payloads")),
		row("1.26", "", ask(claim("payloads", payloads(most+1))), bad(`JWT payload is not valid. "payloads" must contain less than or equal to 250 items`, "payloads")),
		row("1.27", "", ask(claim("payloads", []any{})), bad(`JWT payload is not valid. "payloads" must contain at least 1 items`, "payloads")).ours(),
		row("1.28", "", ask(header("kid", "no-such-kid")), refused(http.StatusUnauthorized, Present, "kid")).ours(),
		row("1.29", "", ask(JWT{Forged: true}), refused(http.StatusUnauthorized, Present, "signature")).ours(),
		row("1.30", "expired", ask(JWT{Claims: map[string]any{"iat": FromNow(-time.Hour), "exp": FromNow(-time.Hour + lifetime)}}), refused(http.StatusBadRequest, Present, "claims")).ours(),
		row("1.30", "exp too far ahead", ask(claim("exp", FromNow(time.Hour))), refused(http.StatusBadRequest, Present, "claims")).ours(),
		row("1.30", "iat in the future", ask(claim("iat", FromNow(3*time.Minute))), refused(http.StatusBadRequest, Present, "claims")).ours(),
		row("1.30", "nbf in the future", ask(claim("nbf", FromNow(3*time.Minute))), refused(http.StatusBadRequest, Present, "claims")).ours(),
		row("1.30", "another aud", ask(claim("aud", "https://another.example/signing-service")), refused(http.StatusBadRequest, Present, "claims")).ours(),
		row("1.31", "", ask(claim("algorithm", "HS256")), refused(http.StatusBadRequest, Present, "algorithm")).ours(),
		row("1.32", "not base64", ask(claim("payloads", []any{map[string]string{"id": "1", "payload": "!"}})), refused(http.StatusBadRequest, Present, "payloads")).ours(),
		row("1.32", "empty", ask(claim("payloads", []any{map[string]string{"id": "1", "payload": ""}})), refused(http.StatusBadRequest, Present, "payloads")).ours(),
		row("4.3", "", Request{Path: "/signatureresponse/!", Bearer: true}, bad(`Invalid request params: "token" must be a valid base64 string`, "")),
		row("4.4", "", Request{Path: "/signatureresponse/" + uuid.NewString(), Bearer: true}, refused(http.StatusNotFound, Is("No signature request for specified token"), "")),
		{Section: Signing, Rule: "SIG-4.5", Before: []Request{good}, Request: Request{Path: "/signatureresponse/{token}", Bearer: true},
			Want: bad("Signature request has not been downloaded yet", "")},
		row("6.1", "", Request{Path: "/_ping"}, Want{Status: http.StatusOK, JSON: map[string]Matcher{
			"version": Present, "revision": anything, "releaseId": Present, "commitId": anything, // some are empty in a build of one's own
		}}),
		row("6.2", "without the key", Request{Path: "/_status"}, Want{Status: http.StatusUnauthorized}),
	}...)
}

// ours marks a case of a rule that is this product's own.
func (c Case) ours() Case {
	c.Ours = true
	return c
}
