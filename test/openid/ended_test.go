package openid_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// logOut has the provider say that somebody is gone: out of one session by sid, or of all by sub.
func (w *world) logOut(t *testing.T, claim, value string) string {
	t.Helper()
	token := w.signedByProvider(t, map[string]any{"typ": "logout+jwt"}, map[string]any{
		"iss": w.issuer, "aud": "countersign", claim: value, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60, "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	if a := newPerson(t).send("POST", w.base()+"/backchannel-logout", url.Values{"logout_token": {token}}.Encode()); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return token
}

// idToken is one of the provider's for acme's own client, as it says.
func (w *world) idToken(t *testing.T, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": w.issuer, "aud": "acme-at-op", "sub": alice, "sid": "session-" + rand.Text(), "nonce": "n",
		"authentication_assurance_level": "3", "iat": time.Now().Unix() - 5, "exp": time.Now().Unix() + 600}
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return w.signedByProvider(t, map[string]any{"typ": "JWT"}, claims)
}

// An ID token is good for longer than the session that it tells of: after the logout nothing more comes of it.
func TestExchangeAfterLogout(t *testing.T) {
	w := newWorld(t)
	const words = "Invalid subject_token JWT"
	token := w.idToken(t, map[string]any{"sid": "the-session"})
	first := w.post(t, w.exchanging(t, "acme", token))
	w.mustWork(t, first.field("access_token"), alice)
	w.logOut(t, "sid", "the-session")
	w.mustNotWork(t, first.field("access_token"))
	mustTell(t, w.post(t, w.exchanging(t, "acme", token)), 401, ir, words)
	other := w.idToken(t, nil)
	if a := w.post(t, w.exchanging(t, "acme", other)); a.status != http.StatusOK {
		t.Errorf("another session: %d %s", a.status, a.body)
	}
	w.logOut(t, "sub", alice)
	mustTell(t, w.post(t, w.exchanging(t, "acme", other)), 401, ir, words)
	if a := w.post(t, w.exchanging(t, "acme", w.idToken(t, map[string]any{"iat": time.Now().Unix() + 2}))); a.status != http.StatusOK {
		t.Errorf("signed in again: %d %s", a.status, a.body)
	}
	if a := w.post(t, w.exchanging(t, "acme", w.idToken(t, map[string]any{"sub": bob}))); a.status != http.StatusOK {
		t.Errorf("another person: %d %s", a.status, a.body)
	}
}

// A token of the provider's that is signed and in time, and still none to exchange.
func TestWhatIsNoSubject(t *testing.T) {
	w := newWorld(t)
	const words, audience = "Invalid subject_token JWT", "Invalid 'aud' claim in subject_token JWT"
	for name, c := range map[string]struct {
		changes map[string]any
		words   string
	}{
		"a logout token":                     {map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, words},
		"for two, and no party":              {map[string]any{"aud": []string{"acme-at-op", "other-at-op"}}, words},
		"for one, issued to another":         {map[string]any{"azp": "other-at-op"}, words},
		"for two, issued to the other":       {map[string]any{"aud": []string{"acme-at-op", "other-at-op"}, "azp": "other-at-op"}, audience},
		"for us and another, issued to that": {map[string]any{"aud": []string{"countersign", "other-at-op"}, "azp": "other-at-op"}, audience},
		"of nobody":                          {map[string]any{"sub": nil}, words},
	} {
		t.Run(name, func(t *testing.T) {
			mustTell(t, w.post(t, w.exchanging(t, "acme", w.idToken(t, c.changes))), 401, ir, c.words)
		})
	}
	if a := w.post(t, w.exchanging(t, "acme", w.idToken(t, map[string]any{"aud": []string{"acme-at-op", "other-at-op"}, "azp": "acme-at-op"}))); a.status != http.StatusOK {
		t.Errorf("for two, issued to it: %d %s", a.status, a.body)
	}
}

// The rows of a resource that has no shape of its own, at /userinfo.
func TestUserInfoFaults(t *testing.T) {
	w := newWorld(t)
	good := w.tokens(t, alice)
	for name, c := range map[string]struct{ shown, text, code string }{
		"missing":         {"", "Invalid access token", "oauth.v2.InvalidAccessToken"},
		"another scheme":  {"Basic YTpi", "Invalid access token", "oauth.v2.InvalidAccessToken"},
		"unknown":         {"Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Invalid Access Token", "keymanagement.service.invalid_access_token"},
		"a refresh token": {"Bearer " + good.field("refresh_token"), "Invalid Access Token", "keymanagement.service.invalid_access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newPerson(t).get(w.base()+"/userinfo", "Authorization", c.shown)
			if want := `{"fault":{"faultstring":"` + c.text + `","detail":{"errorcode":"` + c.code + `"}}}`; a.status != 401 || a.body != want ||
				a.header.Get("Content-Type") != "application/json" || a.header.Get("WWW-Authenticate") == "" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s %v", a.status, a.body, a.header)
			}
		})
	}
	a := newPerson(t).get(w.base()+"/userinfo", "Authorization", "Bearer "+w.application(t, "acme"))
	if a.status != 400 || a.field("error") != ir {
		t.Errorf("a token without a user: %d %s", a.status, a.body)
	}
}
