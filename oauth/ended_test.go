package oauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/store"
)

// logoutClaims are those of a right logout token of a session.
func (w *userWorld) logoutClaims(sid string) map[string]any {
	return map[string]any{
		"iss": w.stub.person.Issuer, "aud": "gateway", "sid": sid, "iat": w.clock.Now().Unix(), "exp": w.clock.Now().Unix() + 120,
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
}

// sayLogout has somebody send a logout token.
func (w *userWorld) sayLogout(token string) *httptest.ResponseRecorder {
	return w.sendLogout(pathLogout, "application/x-www-form-urlencoded", url.Values{"logout_token": {token}}.Encode())
}

func (w *userWorld) sendLogout(path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
	r.URL.Path = path
	r.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	mustBeDescribed(w.t, r, recorder)
	return recorder
}

// logOut has the provider say that a session is over, of which nobody need have signed in here yet.
func (w *userWorld) logOut(t *testing.T, sid string) {
	t.Helper()
	w.stub.key = keys()["stranger"].Key()
	if a := w.sayLogout(mint(t, "stranger", w.logoutClaims(sid))); a.Code != http.StatusOK && !strings.Contains(a.Body.String(), "SID not found") {
		t.Fatalf("got status %d, body %s", a.Code, a.Body)
	}
}

// The rows of a logout token, in their order, and the times of one with and without exp (TOK-8.5 to TOK-8.12).
func TestRowsOfLogout(t *testing.T) {
	w := newUserWorld(t)
	w.stub.key = keys()["stranger"].Key()
	now := w.clock.Now().Unix()
	good := w.logoutClaims("sid-1")
	without := func(names ...string) map[string]any {
		claims := good
		for _, name := range names {
			claims = with(claims, name, nil)
		}
		return claims
	}
	const unable, aud, iss = "Unable to verify JWT", "Missing/invalid aud claim in JWT", "Missing/invalid iss claim in JWT"
	const sid, events, nonce = "Missing sid claim in JWT", "Missing/invalid events claim in JWT", "Prohibited nonce claim in JWT"
	signed := func(claims map[string]any) string { return mint(t, "stranger", claims) }
	for name, c := range map[string]struct{ token, words string }{
		"no JWT":                     {"x", unable},
		"no token":                   {"", unable},
		"another's signature":        {mint(t, "acme-1", good), unable},
		"alg none":                   {forge(t, map[string]any{"alg": "none", "kid": "stranger"}, good), unable},
		"no claims":                  {forge(t, map[string]any{"alg": "RS256", "kid": "stranger"}, []int{1}), unable},
		"expired":                    {signed(with(good, "exp", now)), unable},
		"exp in words":               {signed(with(good, "exp", "soon")), unable},
		"neither exp nor iat":        {signed(without("exp", "iat")), unable},
		"no exp, iat too old":        {signed(with(without("exp"), "iat", now-301)), unable},
		"no exp, iat ahead":          {signed(with(without("exp"), "iat", now+61)), unable},
		"no aud":                     {signed(without("aud", "iss", "sid", "events")), aud},
		"another aud":                {signed(with(good, "aud", "somebody")), aud},
		"ours is the second aud":     {signed(with(good, "aud", []string{"somebody", "gateway"})), aud},
		"an empty list of aud":       {signed(with(good, "aud", []string{})), aud},
		"no iss":                     {signed(without("iss", "sid", "events")), iss},
		"another iss":                {signed(with(good, "iss", "https://evil.example")), iss},
		"no sid":                     {signed(with(without("sid", "events"), "sub", "555086689106")), sid},
		"an empty sid":               {signed(with(good, "sid", "")), sid},
		"a number as sid":            {signed(with(good, "sid", 1)), sid},
		"no events":                  {signed(with(without("events"), "nonce", "n")), events},
		"another event":              {signed(with(good, "events", map[string]any{"http://other": map[string]any{}})), events},
		"events in a list":           {signed(with(good, "events", []string{logoutEvent})), events},
		"an event that is no object": {signed(with(good, "events", map[string]any{logoutEvent: true})), events},
		"a nonce":                    {signed(with(good, "nonce", "n")), nonce},
		"an empty nonce":             {signed(with(good, "nonce", "")), nonce},
	} {
		t.Run(name, func(t *testing.T) {
			mustSay(t, w.sayLogout(c.token), 400, `"invalid_request","error_description":"`+c.words+`"`)
		})
	}
	form := "application/x-www-form-urlencoded"
	mustSay(t, w.sendLogout(pathLogout, "text/plain", "logout_token=x"), 400, "Content-Type header must be "+form)
	mustSay(t, w.sendLogout(pathLogout, form, "logout_token="+signed(good)+"&logout_token="+signed(good)), 400, unable)
	notFound := func(a *httptest.ResponseRecorder) {
		t.Helper()
		if want := `{"error":"not_implemented","error_description":"SID not found"}`; a.Code != 501 || a.Body.String() != want {
			t.Errorf("got status %d, body %s; want 501 %s", a.Code, a.Body, want)
		}
	}
	notFound(w.sayLogout(signed(good)))
	w.stub.person.SID = "sid-2"
	for name, c := range map[string]struct {
		path   string
		claims map[string]any
	}{
		"with exp":                  {pathLogout, good},
		"without exp":               {pathLogout, with(without("exp"), "iat", now-300)},
		"with exp and no iat":       {pathLogout, without("iat")},
		"of several, ours is first": {pathLogout, with(good, "aud", []string{"gateway", "somebody"})},
		"iss in another case":       {pathLogout, with(good, "iss", "HTTPS://OP.example")},
		"at the older address":      {pathOldLogout, good},
	} {
		t.Run(name, func(t *testing.T) {
			w.stub.person.SID = name
			got := w.redeem(w.back(t).Get("code"))
			token := signed(with(c.claims, "sid", name))
			a := w.sendLogout(c.path, form, url.Values{"logout_token": {token}}.Encode())
			if a.Code != http.StatusOK || a.Body.Len() != 0 || a.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("got status %d, body %s", a.Code, a.Body)
			}
			mustRefuse(t, w.refreshed(got.fields["refresh_token"]), row{401, "invalid_grant", "refresh_token is invalid"})
			notFound(w.sayLogout(token)) // again: there is nothing left to end
		})
	}
}

// A logout that cannot be obeyed is told as that, and can come again (TOK-8.11).
func TestALogoutThatFails(t *testing.T) {
	w := newUserWorld(t)
	w.stub.key = keys()["stranger"].Key()
	got := w.redeem(w.back(t).Get("code"))
	token := mint(t, "stranger", w.logoutClaims("sid-1"))
	const failed = `{"error":"not_implemented","error_description":"Logout Failed"}`
	w.store.fail(store.ErrUnavailable)
	mustSay(t, w.sayLogout(token), 501, failed)
	w.store.fail(nil)
	w.stub.fails = errors.New("no route to host")
	mustSay(t, w.sayLogout(token), 501, failed)
	w.stub.fails = nil
	if _, err := w.check.Check(t.Context(), "Bearer "+got.fields["access_token"].(string)); err != nil {
		t.Errorf("one of them ended something: %v", err)
	}
	if a := w.sayLogout(token); a.Code != http.StatusOK {
		t.Errorf("once more: got status %d, body %s", a.Code, a.Body)
	}
}

// A sign-in that is on its way when the provider ends it does not outlive it, in whatever order things arrive.
func TestASignInThatEndsBeforeItsCode(t *testing.T) {
	for sid, denied := range map[string]bool{"sid-1": true, "sid-2": false} {
		w := newUserWorld(t)
		callback := w.began(t)
		w.logOut(t, sid)
		home, _ := url.Parse(w.browse(callback).Header().Get("Location"))
		if got := home.Query(); (got.Get("error") == codeDenied) != denied || got.Has("code") == denied {
			t.Errorf("after the end of %s the client is sent %v", sid, got)
		}
	}
}

func TestALogoutAtTheVeryMoment(t *testing.T) {
	w := newUserWorld(t)
	race := &raceOn{Store: w.store, key: "family/"}
	w.Store = race
	race.first = func() { w.logOut(t, "sid-1") }
	if back := w.back(t); back.Get("error") != codeDenied || race.first != nil {
		t.Errorf("the client is sent %v", back)
	}
}

// What a client has taken back or lost while a person was at the provider is held against the answer.
func TestAClientThatChangesMeanwhile(t *testing.T) {
	w := newUserWorld(t)
	acme := w.Clients["acme"]
	away, _ := url.Parse(w.browse(asking).Header().Get("Location"))
	callback := "/callback?code=x&state=" + away.Query().Get("state")
	gone := acme
	gone.RedirectURIs = []string{"https://acme.example/new"}
	w.Clients["acme"] = gone
	if a := w.browse(callback); a.Header().Get("Location") != "" {
		t.Errorf("the browser is sent to %s", a.Header().Get("Location"))
	} else {
		mustSay(t, a, 400, "redirect_uri is invalid")
	}
	delete(w.Clients, "acme")
	home, _ := url.Parse(w.browse(callback).Header().Get("Location"))
	if q := home.Query(); q.Get("error") != codeDenied || q.Get("error_description") != "the client is no longer approved" || q.Has("code") {
		t.Errorf("a client that was revoked is sent %v", q)
	}
}
