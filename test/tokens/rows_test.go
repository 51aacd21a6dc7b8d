package tokens_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A jti counts also after a crash, and a client has its rate. The other rows of TOK-2 are in test/conformance; the package
// oauth has all of them with all their faults.
func TestRows(t *testing.T) {
	w := newWorld(t)
	as := func(client string) url.Values { return form(w.assertion(t, client, "acme-1", w.keys["acme"])) }
	t.Run("16", func(t *testing.T) {
		f := as("acme")
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
