package oauth

import "strings"

// Fix says what to do about a refusal, in words for whoever runs the client
// (TOK-2). It knows the rows of our token service and of API Management's, which are the same.
func (e *TokenError) Fix() string {
	for _, known := range []struct{ part, fix string }{
		// of tokens with a user
		{"'aud' claim in subject_token", "the ID token is for another client of the provider: register the client's own id there with audience <id> at the gateway"},
		{"'iss' claim in subject_token", "the ID token is of a provider that this gateway does not have: compare its iss, letter by letter, with openid <issuer>"},
		{"subject_token JWT", "get a fresh ID token from the provider and send it unchanged: RS256 or RS512, with kid, typ JWT, iss, aud and exp"},
		{"for your subject_token", "the gateway cannot reach the provider's keys: look at openid under /countersign/status on its admin endpoint"},
		{"subject_token", "send subject_token with the provider's ID token, and subject_token_type " + tokenTypeID},
		{"client_id or client_secret", "compare both with client <id> { secret … } at the gateway; a revoked client is told the same"},
		{"client_secret is", "send client_id and client_secret in the form"},
		{"client_id is", "send the client id that is registered at the gateway"},
		{"redirect_uri is", "send a redirect_uri that is registered for this client, letter by letter, its query included"},
		{"authorization_code is", "a code is good once, for two minutes, for its own client and redirect_uri, and with the code_verifier of its code_challenge: have the person sign in again"},
		{"refresh_token is", "a refresh token is good once: keep the one of the last answer. One that was used before ends all tokens of its sign-in; have the person sign in again"},
		{"refresh period has expired", "twelve hours are over since the person signed in: have the person sign in again"},
		{"Invalid state parameter", "the person came back in another browser, a second time, or after ten minutes: have the person start again; check that cookies reach the gateway"},
		{"Invalid iss parameter", "the answer is another provider's: compare the issuer with openid <issuer> at the gateway; it may also be an attack"},
		{"state is", "send a state that is new each time, and hold the answer to it"},
		{"response_type is", "send response_type=code"},
		{"code_challenge", "send code_challenge, base64url of the verifier's SHA-256, with code_challenge_method=S256, or neither"},
		{"not approved or revoked", "the client is revoked at the gateway"},
		{"does not have access to this resource", "give the client a product with a scope for users: " + exampleScope},
		{"client is no longer approved", "the client was revoked at the gateway while the person signed in"},
		{"signed out meanwhile", "the provider ended the sign-in before the client had its code: have the person sign in again"},
		{"sign-in was refused", "the person refused, or the provider did: the gateway's log says which, in detail"},
		{"OpenID provider cannot be", "the provider is away, or cannot be reached from the gateway: look at openid under /countersign/status on its admin endpoint"},
		{"Unable to verify JWT", "what came as logout_token is not signed by the provider, or too old: the log says why, in detail; compare the clocks"},
		{"claim in JWT", "the provider sent a logout token that is not right for this gateway: it needs aud (the gateway's client id there), iss, sid and events, and no nonce"},
		{"SID not found", "nobody with this session of the provider signed in here, or what came of it has ended already: nothing to do"},
		{"Logout Failed", "the provider's keys or the store were away: the log says which. The provider may send the logout again; or have the tokens of the client revoked"},
		{"Userinfo endpoint", "use a token that came of /authorize and authorization_code"},
		// of tokens without
		{"Content-Type header", "send the form as application/x-www-form-urlencoded; a proxy in between may have changed it"},
		{"grant_type", "send grant_type=client_credentials"},
		{"client_assertion_type", "send client_assertion_type=" + assertionTypeJWT},
		{"Missing client_assertion", "send the signed JWT as client_assertion"},
		{"Malformed JWT", "the assertion is not three base64url segments of strict JSON; make it with a JOSE library and send it unchanged"},
		{"'alg' header", "sign with RS512: an RSA key, PKCS #1 v1.5 padding and SHA-512"},
		{"JWT has expired", "the assertion's exp is past: check this machine's clock (timedatectl), and mint a new assertion for each request"},
		{"no matching public key", "the kid is not in the key set that is registered for this client: check kid and key set URL; after a new key was published, wait an hour"},
		{"'kid' header", "put the kid of the registered key into the assertion's header"},
		{"'typ' header", `put "typ":"JWT" into the assertion's header`},
		{"more than 5 minutes", "the assertion's exp is too far ahead: set it to at most 5 minutes from now, and check this machine's clock"},
		{"must be an integer", "exp must be a JSON number, not a string"},
		{"'exp' claim", "put exp into the assertion: now and at most 5 minutes, in seconds since 1970"},
		{"non-matching 'iss'/'sub'", "iss and sub must both be the API key of the application"},
		{"Invalid 'iss'/'sub'", "the API key is not known, or not approved, or revoked there: compare it with the developer portal, and the environment with the token URL"},
		{"Non-unique 'jti'", "use a fresh UUID as jti for each assertion, and no assertion twice; retries need a new one"},
		{"'jti' claim", "put a fresh UUID as jti into each assertion"},
		{"register a public key", "no key is registered for this application: have its public key or key set URL registered"},
		{"can't be reached", "the registered key set URL does not answer with a key set: open it from outside, and look for a firewall, a redirect or private members in it"},
		{"signature verification failed", "the private key does not belong to the public key registered under this kid: compare them (caddy countersign jwks prints the public half)"},
		{"'aud' claim", "aud must be the token URL, letter by letter, as the token service's environment has it"},
		{"not configured to use this authorization grant type", "subscribe the application to an API (a product) that allows application-restricted access"},
	} {
		if strings.Contains(e.Description, known.part) {
			return known.fix
		}
	}
	switch {
	case e.Status == 429:
		return "too many tokens were asked for: keep a token for its ten minutes, and ask again in a minute"
	case e.Status == 404:
		return "there is no token service at this URL; it ends with /oauth2/token at API Management"
	case e.Status >= 500:
		return "the token service has a problem of its own: try again later, and give its operator the message_id"
	}
	return "the answer is none of the token service's: check the URL, and what stands in between"
}
