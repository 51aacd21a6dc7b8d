package openid_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	ir    = "invalid_request"
	row25 = "you have tried to request authorization but your application is not configured to use this authorization grant type"
)

// mustTell holds an answer to its row and to the shape of every error.
func mustTell(t *testing.T, a answer, status int, code, words string) {
	t.Helper()
	if a.status != status || a.field("error") != code || a.field("error_description") != words || len(a.field("message_id")) != 36 ||
		a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s\nwant %d %s: %s", a.status, a.body, status, code, words)
	}
}

// with is the values with one changed; "" takes it away.
func with(values url.Values, name string, changed ...string) url.Values {
	copied := url.Values{}
	for key, value := range values {
		copied[key] = value
	}
	if copied.Del(name); changed[0] != "" {
		copied[name] = changed
	}
	return copied
}

// What the contract says of /authorize and /callback (TOK-5.14 to TOK-5.23).
func TestRowsOfAuthorize(t *testing.T) {
	w := newWorld(t)
	p := newPerson(t)
	good := w.asked("my state")
	for name, c := range map[string]struct {
		query       url.Values
		status      int
		code, words string
	}{
		"no redirect_uri":           {with(good, "redirect_uri", ""), 400, ir, "redirect_uri is missing"},
		"another redirect_uri":      {with(good, "redirect_uri", "https://evil.example/in"), 400, ir, "redirect_uri is invalid"},
		"a longer redirect_uri":     {with(good, "redirect_uri", w.redirect+"&more=1"), 400, ir, "redirect_uri is invalid"},
		"a shorter redirect_uri":    {with(good, "redirect_uri", strings.TrimSuffix(w.redirect, "?site=7")), 400, ir, "redirect_uri is invalid"},
		"another's redirect_uri":    {with(with(good, "client_id", "beta"), "redirect_uri", "http://localhost:9/other"), 400, ir, "redirect_uri is invalid"},
		"two redirect_uris":         {with(good, "redirect_uri", w.redirect, "https://evil.example/in"), 400, ir, "redirect_uri is given more than once"},
		"no client_id":              {with(good, "client_id", ""), 401, ir, "client_id is missing"},
		"neither":                   {with(with(good, "client_id", ""), "redirect_uri", ""), 400, ir, "redirect_uri is missing"},
		"an unknown client":         {with(good, "client_id", "nobody"), 401, ir, "client_id is invalid"},
		"a revoked client":          {with(good, "client_id", "revoked"), 401, "access_denied", "The developer app associated with the API key is not approved or revoked"},
		"a client without products": {with(good, "client_id", "userless"), 401, "access_denied", "API Key supplied does not have access to this resource. Please check the API Key you are using belongs to an app which has sufficient access to access this resource."},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.get(w.authorizeURL(c.query))
			if a.header.Get("Location") != "" {
				t.Errorf("the browser is sent to %s", a.header.Get("Location"))
			}
			mustTell(t, a, c.status, c.code, c.words)
		})
	}
	for name, c := range map[string]struct {
		query       url.Values
		code, words string
	}{
		"no state":                {with(good, "state", ""), ir, "state is missing"},
		"no response_type":        {with(good, "response_type", ""), ir, "response_type is missing"},
		"neither state nor type":  {with(with(good, "state", ""), "response_type", ""), ir, "state is missing"},
		"another response_type":   {with(good, "response_type", "token"), "unsupported_response_type", "response_type is invalid"},
		"more of a response_type": {with(good, "response_type", "code id_token"), "unsupported_response_type", "response_type is invalid"},
		"plain PKCE":              {with(with(good, "code_challenge", challenge("x")), "code_challenge_method", "plain"), ir, "code_challenge_method is invalid; it must be S256"},
		"PKCE without its method": {with(good, "code_challenge", challenge("x")), ir, "code_challenge_method is invalid; it must be S256"},
		"a method without PKCE":   {with(good, "code_challenge_method", "S256"), ir, "code_challenge is missing"},
		"no challenge of S256":    {with(with(good, "code_challenge", "x"), "code_challenge_method", "S256"), ir, "code_challenge is invalid"},
		"two states":              {with(good, "state", "a", "b"), ir, "state is given more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			back := p.get(w.authorizeURL(c.query)).location(t)
			q := back.Query()
			if !strings.HasPrefix(back.String(), w.redirect+"&") || q.Get("error") != c.code || q.Get("error_description") != c.words || q.Get("code") != "" {
				t.Errorf("sent to %s", back)
			}
			if q.Get("state") != c.query.Get("state") || q.Has("state") != c.query.Has("state") {
				t.Errorf("state %q", q["state"])
			}
		})
	}
	if a := p.send("POST", w.base()+"/authorize", good.Encode()); a.status != 405 || a.header.Get("Allow") != "GET" {
		t.Errorf("POST: %d %v", a.status, a.header)
	}
	t.Run("the person refuses", func(t *testing.T) {
		p := newPerson(t)
		callback := p.signIn(w.issuer, p.get(w.authorizeURL(good)).location(t).String(), "")
		back := p.get(callback).location(t)
		if q := back.Query(); !strings.HasPrefix(back.String(), w.redirect+"&") || q.Get("error") != "access_denied" || q.Get("state") != "my state" || q.Has("code") {
			t.Errorf("sent to %s", back)
		}
		mustTell(t, p.get(callback), 400, ir, "Invalid state parameter.")
	})
	for name, c := range map[string]struct{ client, who string }{
		"a level too low": {"acme", carol}, "no level": {"acme", dave}, "a level too high": {"lower", alice},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			query := with(good, "client_id", c.client)
			a := p.get(p.signIn(w.issuer, p.get(w.authorizeURL(query)).location(t).String(), c.who))
			if a.header.Get("Location") != "" {
				t.Errorf("the browser is sent to %s", a.header.Get("Location"))
			}
			mustTell(t, a, 401, "unauthorized_client", row25)
		})
	}
	for asked, passed := range map[string]string{"": "AAL3_ANY", "AAL2_OR_AAL3_ANY AAL3_ANY": "AAL2_OR_AAL3_ANY AAL3_ANY"} {
		if to := p.get(w.authorizeURL(with(good, "acr_values", asked))).location(t); to.Query().Get("acr_values") != passed {
			t.Errorf("acr_values %q: the browser is sent to %s", asked, to)
		}
	}
	for name, query := range map[string]string{"no state": "code=x", "unknown": "code=x&state=" + challenge("x"), "odd": "code=x&state=../x"} {
		t.Run("callback: "+name, func(t *testing.T) {
			mustTell(t, newPerson(t).get(w.base()+"/callback?"+query), 400, ir, "Invalid state parameter.")
		})
	}
}

// What the contract says of authorization_code and refresh_token (TOK-5.3 to TOK-5.11).
func TestRowsOfCodesAndRefreshTokens(t *testing.T) {
	w := newWorld(t)
	redeem, refresh := w.redeeming("nothing"), w.refreshing("nothing")
	const secretWrong = "client_id or client_secret is invalid"
	for name, c := range map[string]struct {
		form        url.Values
		status      int
		code, words string
	}{
		"no grant_type":        {with(redeem, "grant_type", ""), 400, ir, "grant_type is missing"},
		"no client_id":         {with(redeem, "client_id", ""), 401, ir, "client_id is missing"},
		"no client_secret":     {with(redeem, "client_secret", ""), 401, ir, "client_secret is missing"},
		"an unknown client":    {with(redeem, "client_id", "nobody"), 401, "invalid_client", secretWrong},
		"a revoked client":     {with(redeem, "client_id", "revoked"), 401, "invalid_client", secretWrong},
		"a wrong secret":       {with(redeem, "client_secret", secret+"x"), 401, "invalid_client", secretWrong},
		"no redirect_uri":      {with(redeem, "redirect_uri", ""), 400, ir, "redirect_uri is missing"},
		"another redirect_uri": {with(redeem, "redirect_uri", "http://localhost:9/"), 400, ir, "redirect_uri is invalid"},
		"no code":              {with(redeem, "code", ""), 400, ir, "authorization_code is missing"},
		"an unknown code":      {redeem, 400, "invalid_grant", "authorization_code is invalid"},
		"two codes":            {with(redeem, "code", "a", "b"), 400, ir, "code is given more than once"},

		"refresh: no client_id":      {with(refresh, "client_id", ""), 401, ir, "client_id is missing"},
		"refresh: no client_secret":  {with(refresh, "client_secret", ""), 401, ir, "client_secret is missing"},
		"refresh: a wrong secret":    {with(refresh, "client_secret", betaSecret), 401, "invalid_client", secretWrong},
		"refresh: no token":          {with(refresh, "refresh_token", ""), 400, ir, "refresh_token is missing"},
		"refresh: an unknown one":    {refresh, 401, "invalid_grant", "refresh_token is invalid"},
		"subject of another grant":   {with(refresh, "subject_token_type", idToken), 400, ir, "grant_type is invalid"},
		"subject without a grant":    {url.Values{"subject_token_type": {idToken}}, 400, ir, "grant_type is invalid"},
		"subject, unknown grant":     {url.Values{"subject_token_type": {idToken}, "grant_type": {"x"}}, 400, ir, "grant_type is invalid"},
		"a grant that is not known":  {with(refresh, "grant_type", "password"), 400, "unsupported_grant_type", "grant_type is invalid"},
		"an access token to refresh": {w.refreshing(w.tokens(t, alice).field("access_token")), 401, "invalid_grant", "refresh_token is invalid"},
	} {
		t.Run(name, func(t *testing.T) { mustTell(t, w.post(t, c.form), c.status, c.code, c.words) })
	}
	a := newPerson(t).send("POST", w.base()+"/token", redeem.Encode(), "Content-Type", "text/plain")
	mustTell(t, a, 415, ir, "Content-Type header must be application/x-www-form-urlencoded")
}

// What the contract says of the token exchange, up to the key of the subject token (TOK-6.1 to TOK-6.14); TestSeparate goes on.
func TestRowsOfExchange(t *testing.T) {
	w := newWorld(t)
	const jwt = " in subject_token JWT"
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": "op-1"}
	claims := map[string]any{"iss": w.issuer, "aud": "acme-at-op", "sub": alice, "exp": time.Now().Unix() + 600, "authentication_assurance_level": "3"}
	changed := func(values map[string]any, name string, value any) map[string]any {
		copied := map[string]any{}
		for key, v := range values {
			copied[key] = v
		}
		if copied[name] = value; value == nil {
			delete(copied, name)
		}
		return copied
	}
	subject := func(h, c map[string]any) string { return w.key.JWT(t, h, c) }
	form := func(token string) url.Values {
		return url.Values{"grant_type": {exchange}, "client_assertion_type": {assertion}, "client_assertion": {w.assertion(t, "acme")},
			"subject_token_type": {idToken}, "subject_token": {token}}
	}
	claim := func(name string, value any) url.Values { return form(subject(header, changed(claims, name, value))) }
	head := func(name string, value any) url.Values { return form(subject(changed(header, name, value), claims)) }
	const typeWords = "missing or invalid subject_token_type - must be '" + idToken + "'"
	for name, c := range map[string]struct {
		form        url.Values
		status      int
		code, words string
	}{
		"row 4":                  {with(form("x"), "client_assertion_type", ""), 400, ir, "Missing or invalid client_assertion_type - must be '" + assertion + "'"},
		"row 5":                  {with(form("x"), "client_assertion", ""), 400, ir, "Missing client_assertion"},
		"row 18":                 {with(form("x"), "client_assertion", w.assertion(t, "nobody")), 401, ir, "Invalid 'iss'/'sub' claims in client_assertion JWT"},
		"no type":                {with(form("x"), "subject_token_type", ""), 400, ir, typeWords},
		"another type":           {with(form("x"), "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), 400, ir, typeWords},
		"no subject":             {with(form("x"), "subject_token", ""), 400, ir, "Missing subject_token"},
		"no JWT":                 {form("x.y.z"), 400, ir, "Malformed JWT in subject_token"},
		"no kid":                 {head("kid", nil), 400, ir, "Missing 'kid' header" + jwt},
		"no typ":                 {head("typ", nil), 400, ir, "Invalid 'typ' header" + jwt + " - must be 'JWT'"},
		"another typ":            {head("typ", "at+jwt"), 400, ir, "Invalid 'typ' header" + jwt + " - must be 'JWT'"},
		"no alg":                 {head("alg", nil), 400, ir, "Missing 'alg' header" + jwt},
		"alg none":               {head("alg", "none"), 401, "public_key error", "JWT signature verification failed"},
		"alg none, unsigned":     {form(strings.Join(strings.Split(subject(changed(header, "alg", "none"), claims), ".")[:2], ".") + "."), 401, "public_key error", "JWT signature verification failed"},
		"alg HS256":              {head("alg", "HS256"), 401, "public_key error", "JWT signature verification failed"},
		"no exp":                 {claim("exp", nil), 400, ir, "Missing 'exp' claim" + jwt},
		"exp a text":             {claim("exp", "soon"), 400, ir, "Invalid 'exp' claim" + jwt + " - must be an integer"},
		"exp a number in a text": {claim("exp", "1"), 400, ir, "Invalid 'exp' claim" + jwt + " - must be an integer"},
		"exp past":               {claim("exp", time.Now().Unix()-5), 400, ir, "Invalid 'exp' claim" + jwt + " - JWT has expired"},
		"no iss":                 {claim("iss", nil), 400, ir, "Missing 'iss' claim" + jwt},
		"no aud":                 {claim("aud", nil), 401, ir, "Missing 'aud' claim" + jwt},
		"another iss":            {claim("iss", "https://evil.example"), 400, ir, "Missing or non-matching 'iss' claim" + jwt},
		"an iss with a slash":    {claim("iss", w.issuer+"/"), 400, ir, "Missing or non-matching 'iss' claim" + jwt},
		"an unknown kid":         {head("kid", "op-9"), 401, ir, "Invalid 'kid' header" + jwt + " - no matching public key"},
		"a wrong signature":      {form(subject(header, claims)), 401, "public_key error", "JWT signature verification failed"},
		"kid before typ":         {form(subject(map[string]any{"alg": "RS256"}, claims)), 400, ir, "Missing 'kid' header" + jwt},
		"typ before alg":         {form(subject(map[string]any{"kid": "op-1"}, claims)), 400, ir, "Invalid 'typ' header" + jwt + " - must be 'JWT'"},
		"exp before iss":         {form(subject(header, map[string]any{})), 400, ir, "Missing 'exp' claim" + jwt},
		"iss before aud":         {form(subject(header, map[string]any{"exp": claims["exp"]})), 400, ir, "Missing 'iss' claim" + jwt},
	} {
		t.Run(name, func(t *testing.T) { mustTell(t, w.post(t, c.form), c.status, c.code, c.words) })
	}
}
