package tokens_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// What TOK-2 says, through the built binary. Rows 2 to 15 need no key; the package oauth has all
// of them with all their faults.
func TestRows(t *testing.T) {
	w := newWorld(t)
	header := map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}
	key := w.keys["acme"]
	signed := func(h, claims map[string]any) url.Values { return form(key.JWT(t, h, claims)) }
	claim := func(name string, value any) url.Values {
		return signed(header, gateway.With(w.claims("acme"), name, value))
	}
	as := func(client string) url.Values { return signed(header, w.claims(client)) }
	head := func(name string, value any) url.Values {
		return signed(gateway.With(header, name, value), w.claims("acme"))
	}
	changed := func(name, value string) url.Values { f := claim("x", 1); f.Set(name, value); return f }
	now := time.Now().Unix()
	const ir, pk, jwt = "invalid_request", "public_key error", " in client_assertion JWT"
	for name, c := range map[string]struct {
		form        url.Values
		status      int
		code, words string
	}{
		"2":          {url.Values{}, 400, ir, "grant_type is missing"},
		"3":          {changed("grant_type", "password"), 400, "unsupported_grant_type", "grant_type is invalid"},
		"4":          {changed("client_assertion_type", "x"), 400, ir, "Missing or invalid client_assertion_type - must be '" + assertionType + "'"},
		"5":          {changed("client_assertion", ""), 400, ir, "Missing client_assertion"},
		"6":          {changed("client_assertion", "x.y.z"), 400, ir, "Malformed JWT in client_assertion"},
		"7":          {head("alg", "RS256"), 400, ir, "Invalid 'alg' header" + jwt + " - unsupported JWT algorithm - must be 'RS512'"},
		"8":          {claim("exp", now-10), 400, ir, "Invalid 'exp' claim" + jwt + " - JWT has expired"},
		"9":          {head("kid", nil), 400, ir, "Missing 'kid' header" + jwt},
		"10":         {head("typ", "at+jwt"), 400, ir, "Invalid 'typ' header" + jwt + " - must be 'JWT'"},
		"11":         {claim("exp", nil), 400, ir, "Missing 'exp' claim" + jwt},
		"12":         {claim("exp", "in time"), 400, ir, "Invalid 'exp' claim" + jwt + " - must be an integer"},
		"13":         {claim("sub", "beta"), 400, ir, "Missing or non-matching 'iss'/'sub' claims" + jwt},
		"14":         {claim("jti", nil), 400, ir, "Missing 'jti' claim" + jwt},
		"15":         {claim("jti", 1), 400, ir, "Invalid 'jti' claim" + jwt + " - must be a unique string value such as a GUID"},
		"17":         {claim("exp", now+4000), 400, ir, "Invalid 'exp' claim" + jwt + " - more than 5 minutes in future"},
		"18":         {as("nobody"), 401, ir, "Invalid 'iss'/'sub' claims" + jwt},
		"18 revoked": {as("revoked"), 401, ir, "Invalid 'iss'/'sub' claims" + jwt},
		"20":         {as("keyless"), 403, pk, "You need to register a public key to use this authentication method - please contact support to configure"},
		"21":         {as("away"), 403, pk, "The JWKS endpoint, for your client_assertion can't be reached"},
		"22":         {head("kid", "acme-9"), 401, ir, "Invalid 'kid' header" + jwt + " - no matching public key"},
		"23":         {form(w.keys["beta"].JWT(t, header, w.claims("acme"))), 401, pk, "JWT signature verification failed"},
		"24":         {claim("aud", "http://localhost/oauth2/token"), 401, ir, "Missing or invalid 'aud' claim" + jwt},
		"25":         {as("scopeless"), 401, "unauthorized_client", "you have tried to request authorization but your application is not configured to use this authorization grant type"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.post(t, c.form)
			if a.status != c.status || a.field("error") != c.code || a.field("error_description") != c.words || a.field("message_id") == "" ||
				a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%d %s\nwant %d %s: %s", a.status, a.body, c.status, c.code, c.words)
			}
		})
	}
	t.Run("0, 1, 27", func(t *testing.T) {
		if a := send(t, "GET", w.tokenURL(), ""); a.status != 405 || a.body != "" || a.header.Get("Allow") != "POST" {
			t.Errorf("0: %d %v %q", a.status, a.header, a.body)
		}
		if a := send(t, "POST", w.tokenURL(), "{}", "Content-Type", "application/json"); a.status != 415 || a.field("error") != ir {
			t.Errorf("1: %d %s", a.status, a.body)
		}
		if a := send(t, "POST", w.URL("GATEWAY", "/oauth2/tokens"), ""); a.status != 404 || a.field("error_description") != "Not Found" {
			t.Errorf("27: %d %s", a.status, a.body)
		}
	})
	t.Run("16", func(t *testing.T) {
		f := claim("x", 2)
		if a := w.post(t, f); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		want := "Non-unique 'jti' claim in client_assertion JWT"
		if a := w.post(t, f); a.status != 400 || a.field("error_description") != want {
			t.Errorf("%d %s", a.status, a.body)
		}
		w.Kill() // also after a crash: what was acknowledged is durable
		w.Restart()
		if a := w.post(t, f); a.status != 400 || a.field("error_description") != want {
			t.Errorf("after a crash: %d %s", a.status, a.body)
		}
	})
	t.Run("19", func(t *testing.T) {
		statuses := map[int]int{}
		for range 5 { // the minute may change once in between
			statuses[w.post(t, as("limited")).status]++
		}
		if statuses[429] == 0 || statuses[200] < 2 || statuses[200] > 4 {
			t.Errorf("statuses %v", statuses)
		}
	})
}

// One hundred posts of one assertion at one time: one token.
func TestOneAssertionOneToken(t *testing.T) {
	w := newWorld(t)
	body := form(w.assertion(t, "acme", "acme-1", w.keys["acme"])).Encode()
	var mu sync.Mutex
	var all sync.WaitGroup
	statuses := map[int]int{}
	for range 100 {
		all.Go(func() {
			a, err := exchange(client, "POST", w.tokenURL(), body, "Content-Type", "application/x-www-form-urlencoded")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			statuses[a.status]++
		})
	}
	all.Wait()
	if statuses[200] != 1 || statuses[400] != 99 {
		t.Errorf("statuses %v", statuses)
	}
}

// Keys change while clients run, and no call fails.
func TestKeysRotateWhileClientsRun(t *testing.T) {
	w := newWorld(t)
	made, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	first, second := w.keys["turning"], made[3]
	must := func(kid string, key gateway.Key) {
		t.Helper()
		if a := w.post(t, form(w.assertion(t, "turning", kid, key))); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", kid, a.status, a.body)
		}
	}
	must("turning-1", first)
	w.publish(t, map[string]gateway.Key{"turning-1": first, "turning-2": second})
	if !gateway.Eventually(patience, func() bool {
		must("turning-1", first)
		return w.post(t, form(w.assertion(t, "turning", "turning-2", second))).status == http.StatusOK
	}) {
		t.Fatal("the second key is not taken")
	}
	must("turning-1", first)
	w.publish(t, map[string]gateway.Key{"turning-2": second})
	if !gateway.Eventually(patience, func() bool {
		must("turning-2", second)
		return w.post(t, form(w.assertion(t, "turning", "turning-1", first))).status == http.StatusUnauthorized
	}) {
		t.Fatal("the first key is still taken")
	}
}

// The bearer check, in each resource's own shape.
func TestBearer(t *testing.T) {
	w := newWorld(t)
	signing, booking := "Bearer "+w.token(t, "acme"), "Bearer "+w.token(t, "limited")
	const unknown = "Bearer 0000000000000000000000000000"
	for name, c := range map[string]struct {
		path, token string
		status      int
		challenge   string
		body        string // a pattern
	}{
		"let through":         {"/json/x", signing, 200, "", `^signing ` + signingScope + `$`},
		"missing":             {"/json/x", "", 401, `Bearer`, `^{"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"oauth.v2.InvalidAccessToken"}}}$`},
		"basic":               {"/json/x", "Basic eDp5", 401, `Bearer`, `oauth.v2.InvalidAccessToken`},
		"unknown":             {"/json/x", unknown, 401, `Bearer error="invalid_token"`, `"Invalid Access Token".*keymanagement.service.invalid_access_token`},
		"without the scope":   {"/json/x", booking, 403, `Bearer error="insufficient_scope"`, `InsufficientScope`},
		"fhir":                {"/fhir/x", signing, 200, "", "^fhir$"},
		"fhir missing":        {"/fhir/x", "Bearer ", 401, `Bearer`, `"code":"unknown".*"code":"SEND_UNAUTHORIZED".*"No Access token was provided."`},
		"fhir unknown":        {"/fhir/x", unknown, 401, `Bearer error="invalid_token"`, `"code":"security".*"code":"SEND_UNAUTHORIZED"`},
		"fhir other product":  {"/fhir/x", booking, 403, `Bearer error="insufficient_scope"`, `"code":"forbidden".*"code":"SEND_FORBIDDEN"`},
		"signing, no user":    {"/shape/x", signing, 403, `Bearer error="insufficient_scope"`, `"statusCode":403,"error":"Forbidden".*"code":"access_token","requestId":"r-1"`},
		"signing's own shape": {"/shape/x", unknown, 401, `Bearer error="invalid_token"`, `"statusCode":401,"error":"Unauthorized".*"code":"access_token"`},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{"X-Request-Id", "r-1"}
			if c.token != "" {
				headers = append(headers, "Authorization", c.token)
			}
			a := send(t, "GET", w.URL("GATEWAY", c.path), "", headers...)
			if a.status != c.status || a.header.Get("WWW-Authenticate") != c.challenge || !regexp.MustCompile(c.body).MatchString(a.body) {
				t.Errorf("%d %q %s", a.status, a.header.Get("WWW-Authenticate"), a.body)
			}
		})
	}
	if a := send(t, "GET", w.URL("GATEWAY", "/json/x"), "", "Authorization", signing, "Authorization", booking); a.status != 401 {
		t.Errorf("two tokens at once: %d", a.status)
	}
	// A client that is revoked loses its tokens with the next configuration.
	text := w.caddyfile("")
	revoked := strings.Replace(text, "client acme {", "client acme {\n\t\t\tstatus revoked", 1)
	w.Reload(revoked)
	if a := send(t, "GET", w.URL("GATEWAY", "/json/x"), "", "Authorization", signing); a.status != 401 {
		t.Errorf("a revoked client's token: %d", a.status)
	}
	w.Reload(text)
	if a := send(t, "GET", w.URL("GATEWAY", "/json/x"), "", "Authorization", signing); a.status != 200 {
		t.Errorf("approved again: %d", a.status)
	}
}
