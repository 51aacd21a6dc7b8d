package openid_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const codeInvalid, refreshInvalid = "authorization_code is invalid", "refresh_token is invalid"

var regexpXSRF = regexp.MustCompile(`name="xsrf" value="([^"]+)"`)

// A code is good once. Whoever brings it again ends what came of it.
func TestCodeReplay(t *testing.T) {
	w := newWorld(t)
	code := w.code(t, newPerson(t), alice, w.asked("s"))
	got := w.post(t, w.redeeming(code))
	w.mustWork(t, got.field("access_token"), alice)
	mustTell(t, w.post(t, w.redeeming(code)), 400, "invalid_grant", codeInvalid)
	w.mustNotWork(t, got.field("access_token"))
	mustTell(t, w.post(t, w.refreshing(got.field("refresh_token"))), 401, "invalid_grant", refreshInvalid)

	t.Run("at one time", func(t *testing.T) {
		form := w.redeeming(w.code(t, newPerson(t), alice, w.asked("s")))
		if good := w.atOnce(t, form, 8); good > 1 {
			t.Errorf("%d of 8 got tokens", good)
		}
	})
	t.Run("with another client", func(t *testing.T) {
		code := w.code(t, newPerson(t), alice, w.asked("s"))
		stolen := with(with(w.redeeming(code), "client_id", "beta"), "client_secret", betaSecret)
		mustTell(t, w.post(t, stolen), 400, "invalid_grant", codeInvalid)
		other := with(w.redeeming(code), "redirect_uri", "http://localhost:9/other")
		mustTell(t, w.post(t, other), 400, "invalid_grant", codeInvalid)
		if a := w.post(t, w.redeeming(code)); a.status != http.StatusOK {
			t.Errorf("its own client after that: %d %s", a.status, a.body)
		}
	})
}

// atOnce sends the same form several times at once, and says how many got tokens.
func (w *world) atOnce(t *testing.T, form url.Values, times int) (good int) {
	t.Helper()
	var all sync.WaitGroup
	answers := make([]*http.Response, times)
	for i := range answers {
		all.Go(func() {
			response, err := described.PostForm(w.base()+"/token", form)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			answers[i] = response
		})
	}
	all.Wait()
	for _, a := range answers {
		if a != nil && a.StatusCode == http.StatusOK {
			good++
		}
	}
	return good
}

// A refresh token is good once. Whoever brings it again ends its family.
func TestRefreshReuse(t *testing.T) {
	w := newWorld(t)
	first := w.tokens(t, alice)
	second := w.post(t, w.refreshing(first.field("refresh_token")))
	third := w.post(t, w.refreshing(second.field("refresh_token")))
	w.mustWork(t, third.field("access_token"), alice)
	bystander := w.tokens(t, alice)

	mustTell(t, w.post(t, with(with(w.refreshing(third.field("refresh_token")), "client_id", "beta"), "client_secret", betaSecret)), 401, "invalid_grant", refreshInvalid)
	w.mustWork(t, third.field("access_token"), alice)

	mustTell(t, w.post(t, w.refreshing(first.field("refresh_token"))), 401, "invalid_grant", refreshInvalid)
	for _, a := range []answer{first, second, third} {
		w.mustNotWork(t, a.field("access_token"))
	}
	mustTell(t, w.post(t, w.refreshing(third.field("refresh_token"))), 401, "invalid_grant", refreshInvalid)
	w.mustWork(t, bystander.field("access_token"), alice)
	if good := w.atOnce(t, w.refreshing(bystander.field("refresh_token")), 8); good > 1 {
		t.Errorf("%d of 8 got tokens for one refresh token", good)
	}
}

// A sign-in belongs to the browser that began it, and is good once.
func TestStateAndBrowser(t *testing.T) {
	w := newWorld(t)
	const words = "Invalid state parameter."
	t.Run("somebody else's browser", func(t *testing.T) { // login CSRF: the victim gets the attacker's code
		attacker, victim := newPerson(t), newPerson(t)
		callback := attacker.signIn(w.issuer, attacker.get(w.authorizeURL(w.asked("s"))).location(t).String(), bob)
		mustTell(t, victim.get(callback), 400, ir, words)
		victim.get(w.authorizeURL(w.asked("t"))) // it has a cookie of its own now
		mustTell(t, victim.get(callback), 400, ir, words)
	})
	t.Run("state replay", func(t *testing.T) {
		p := newPerson(t)
		callback := p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("s"))).location(t).String(), alice)
		if p.get(callback).location(t).Query().Get("code") == "" {
			t.Fatal("no code")
		}
		mustTell(t, p.get(callback), 400, ir, words)
	})
	t.Run("another sign-in's code", func(t *testing.T) { // nonce and PKCE: a code of one sign-in in another
		p := newPerson(t)
		one := p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("s1"))).location(t).String(), alice)
		other := p.get(w.authorizeURL(w.asked("s2"))).location(t)
		callback, _ := url.Parse(one)
		mixed := callback.Query()
		mixed.Set("state", other.Query().Get("state"))
		back := p.get(w.base() + "/callback?" + mixed.Encode()).location(t)
		if back.Query().Get("error") != "access_denied" || back.Query().Get("state") != "s2" || back.Query().Has("code") {
			t.Errorf("sent to %s", back)
		}
	})
	t.Run("mixed-up issuer", func(t *testing.T) {
		p := newPerson(t)
		address := p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("s"))).location(t).String(), alice)
		callback, _ := url.Parse(address)
		for _, iss := range []string{"https://evil.example", w.issuer + "/", ""} {
			query := callback.Query()
			if query.Set("iss", iss); iss == "" {
				query.Del("iss")
			}
			mustTell(t, p.get(w.base()+"/callback?"+query.Encode()), 400, ir, "Invalid iss parameter.")
		}
		if p.get(address).location(t).Query().Get("code") == "" {
			t.Error("the right issuer after that is refused")
		}
	})
	t.Run("two cookies", func(t *testing.T) { // one was planted
		p := newPerson(t)
		callback := p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("s"))).location(t).String(), alice)
		kept := p.logins(w.base() + "/callback")
		if len(kept) != 1 {
			t.Fatalf("the browser keeps %v", kept)
		}
		mustTell(t, p.get(callback, "Cookie", kept[0].Name+"="+challenge("x")), 400, ir, words)
	})
}

// What goes to the provider is new each time, and nothing of it tells the next.
func TestWhatTheProviderIsSent(t *testing.T) {
	w := newWorld(t)
	p := newPerson(t)
	seen := map[string]bool{}
	for range 3 {
		query := p.get(w.authorizeURL(w.asked("secret state of the client"))).location(t).Query()
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if value := query.Get(name); len(value) != 43 || seen[value] {
				t.Errorf("%s is %q", name, value)
			}
			seen[query.Get(name)] = true
		}
		if query.Get("code_challenge_method") != "S256" || query.Get("acr_values") != "AAL3_ANY" || query.Get("scope") != "openid profile" ||
			query.Get("client_id") != "countersign" || query.Get("redirect_uri") != w.base()+"/callback" || strings.Contains(query.Encode(), "client") && strings.Contains(query.Encode(), "secret") {
			t.Errorf("the provider is sent %v", query)
		}
	}
}

// logOutAtProvider logs the browser out at the provider, which tells the gateway.
func (w *world) logOutAtProvider(t *testing.T, p *person) {
	t.Helper()
	page := p.get(w.issuer + "/session/end?client_id=countersign")
	xsrf := regexpXSRF.FindStringSubmatch(page.body)
	if xsrf == nil {
		t.Fatalf("the provider's logout page: got status %d, body %.1000s", page.status, page.body)
	}
	p.send("POST", w.issuer+"/session/end/confirm", url.Values{"xsrf": {xsrf[1]}, "logout": {"yes"}}.Encode())
}

// Logging out at the provider ends the session's tokens at once. Only a right logout token does so, row by row (TOK-8.4
// to TOK-8.12), at either address.
func TestLogout(t *testing.T) {
	w := newWorld(t)
	p := newPerson(t)
	got := w.post(t, w.redeeming(w.code(t, p, alice, w.asked("s"))))
	one, two := w.tokens(t, alice), w.tokens(t, alice) // of other browsers, so of other sessions
	w.mustWork(t, got.field("access_token"), alice)
	w.logOutAtProvider(t, p)
	w.mustNotWork(t, got.field("access_token"))
	mustTell(t, w.post(t, w.refreshing(got.field("refresh_token"))), 401, "invalid_grant", refreshInvalid)
	w.mustWork(t, one.field("access_token"), alice)

	sid, now := one.field("sid"), time.Now().Unix()
	const unable, aud, iss = "Unable to verify JWT", "Missing/invalid aud claim in JWT", "Missing/invalid iss claim in JWT"
	const noSID, events, nonce = "Missing sid claim in JWT", "Missing/invalid events claim in JWT", "Prohibited nonce claim in JWT"
	for name, c := range map[string]struct {
		changes map[string]any
		words   string
	}{
		"expired":                     {map[string]any{"exp": now - 60}, unable},
		"no exp, and issued long ago": {map[string]any{"exp": nil, "iat": now - 310}, unable},
		"neither exp nor iat":         {map[string]any{"exp": nil, "iat": nil}, unable},
		"another audience":            {map[string]any{"aud": "acme-at-op", "iss": nil}, aud},
		"ours is the second":          {map[string]any{"aud": []string{"acme-at-op", "countersign"}}, aud},
		"another issuer":              {map[string]any{"iss": "https://evil.example", "sid": nil}, iss},
		"a person and no session":     {map[string]any{"sid": nil, "sub": alice, "events": nil}, noSID},
		"no event, and a nonce":       {map[string]any{"events": nil, "nonce": "n"}, events},
		"another event":               {map[string]any{"events": map[string]any{"http://other": map[string]any{}}}, events},
		"a nonce":                     {map[string]any{"nonce": "n"}, nonce},
	} {
		t.Run(name, func(t *testing.T) { mustTell(t, w.sayLogout(t, w.logoutToken(t, sid, c.changes)), 400, ir, c.words) })
	}
	forged := w.key.JWT(t, map[string]any{"alg": "RS512", "kid": "op-1"}, map[string]any{"iss": w.issuer, "aud": "countersign", "sid": sid, "exp": now + 60})
	for _, token := range []string{forged, "", "x.y.z"} {
		mustTell(t, w.sayLogout(t, token), 400, ir, unable)
	}
	w.mustWork(t, one.field("access_token"), alice)

	token := w.logoutToken(t, sid, map[string]any{"exp": nil, "jti": nil, "iat": now - 200, "aud": []string{"countersign", "acme-at-op"}, "iss": strings.ToUpper(w.issuer)})
	if a := w.sayLogout(t, token); a.status != http.StatusOK || a.body != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("without exp: got status %d, body %s", a.status, a.body)
	}
	w.mustNotWork(t, one.field("access_token"))
	if a := w.sayLogout(t, token); a.status != http.StatusNotImplemented || a.body != unknownSID {
		t.Errorf("once more: got status %d, body %s; want 501 %s", a.status, a.body, unknownSID)
	}
	old := newPerson(t).send("POST", w.base()+"/backchannel-logout", url.Values{"logout_token": {w.logoutToken(t, two.field("sid"), nil)}}.Encode())
	if old.status != http.StatusOK {
		t.Errorf("at the older address: got status %d, body %s", old.status, old.body)
	}
	w.mustNotWork(t, two.field("access_token"))
}

// The provider changes its keys while the gateway knows the old ones.
func TestKeyRotation(t *testing.T) {
	w := newWorld(t)
	before := w.tokens(t, alice)
	newPerson(t).send("POST", w.issuer+"/test/rotate", "")
	deadline := time.Now().Add(patience) // keys are fetched again every five seconds at most
	for {
		p := newPerson(t)
		back := p.get(p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("s"))).location(t).String(), alice)).location(t)
		if code := back.Query().Get("code"); code != "" {
			w.mustWork(t, w.post(t, w.redeeming(code)).field("access_token"), alice)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the new key is not found: %s", back)
		}
	}
	w.mustWork(t, before.field("access_token"), alice)
}
