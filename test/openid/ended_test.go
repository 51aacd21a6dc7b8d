package openid_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// logoutToken is what the provider would send about a session, with changes; nil takes a claim away.
func (w *world) logoutToken(t *testing.T, sid string, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": w.issuer, "aud": "countersign", "sid": sid, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60, "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return w.signedByProvider(t, map[string]any{"typ": "logout+jwt"}, claims)
}

// sayLogout sends a logout token, as the provider does.
func (w *world) sayLogout(t *testing.T, token string) answer {
	t.Helper()
	return newPerson(t).send("POST", w.base()+"/backchannel_logout", url.Values{"logout_token": {token}}.Encode())
}

// mustEnd has the provider say that a session is over which somebody has here.
func (w *world) mustEnd(t *testing.T, sid string) {
	t.Helper()
	if a := w.sayLogout(t, w.logoutToken(t, sid, nil)); a.status != http.StatusOK || a.body != "" {
		t.Fatalf("the logout: got status %d, body %s; want 200 and no body", a.status, a.body)
	}
}

const unknownSID = `{"error":"not_implemented","error_description":"SID not found"}`

// mustEndNothing has it say so of a session that nobody has here.
func (w *world) mustEndNothing(t *testing.T, sid string) {
	t.Helper()
	if a := w.sayLogout(t, w.logoutToken(t, sid, nil)); a.status != http.StatusNotImplemented || a.body != unknownSID {
		t.Fatalf("the logout: got status %d, body %s; want 501 %s", a.status, a.body, unknownSID)
	}
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
	w.mustEnd(t, "the-session")
	w.mustNotWork(t, first.field("access_token"))
	mustTell(t, w.post(t, w.exchanging(t, "acme", token)), 401, ir, words)
	other := w.idToken(t, nil)
	if a := w.post(t, w.exchanging(t, "acme", other)); a.status != http.StatusOK {
		t.Errorf("another session: %d %s", a.status, a.body)
	}
	w.mustEndNothing(t, "a-session-to-come") // before anybody signs in with it
	mustTell(t, w.post(t, w.exchanging(t, "acme", w.idToken(t, map[string]any{"sid": "a-session-to-come"}))), 401, ir, words)
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

// A page that was opened by a sign-in which the provider has ended since signs nothing until the same person has
// signed in again, in the same browser.
func TestLogoutWhileThePageIsOpen(t *testing.T) {
	w := newWorld(t, func(w *world) { w.signs = "sign_in" })
	token := w.tokens(t, alice).field("access_token")
	payloads := gateway.Payloads("RS256", 2)
	asked := w.request(t, "acme", token, alice, payloads...)
	p := newPerson(t)
	page := w.page(t, p, asked.field("redirectUri"))
	signIn := func(asked answer, who string) *url.URL {
		t.Helper()
		if asked.status != http.StatusForbidden || asked.field("code") != "sign_in" || !strings.HasPrefix(asked.field("signInUri"), w.issuer) {
			t.Fatalf("%d %s", asked.status, asked.body)
		}
		if !strings.Contains(asked.field("signInUri"), "prompt=login") {
			w.forget(t, p)
		}
		return p.get(p.signIn(w.issuer, asked.field("signInUri"), who)).location(t)
	}
	call := page.call
	signIn(call("/client/open", page.opening()), alice)
	opened := call("/client/open", page.opening())
	if opened.status != http.StatusOK {
		t.Fatalf("%d %s", opened.status, opened.body)
	}
	id := opened.field("id")
	byID := `{"id":"` + id + `"}`
	w.mustEndNothing(t, "somebody else's session")
	if a := call("/client/open", byID); a.status != http.StatusOK {
		t.Errorf("somebody else logs out: %d %s", a.status, a.body)
	}
	w.logOutAtProvider(t, p)
	if a := call("/client/open", byID); a.field("code") != "sign_in" {
		t.Errorf("shown again: %d %s", a.status, a.body)
	}
	if seen := p.get(w.signing() + "/client/session?id=" + id); !strings.Contains(seen.body, `"signedOut":true`) {
		t.Errorf("whoever watches is told %d %s", seen.status, seen.body)
	}
	page.turnedAway("another person", "wrong_user", signIn(call("/client/sign", byID), bob))
	if a := call("/client/sign", byID); a.field("code") != "sign_in" {
		t.Fatalf("after that: %d %s", a.status, a.body)
	}
	if to := signIn(call("/client/sign", byID), alice); to.String() != w.signing()+"/client?token="+asked.field("token") {
		t.Fatalf("signed in again, the browser goes to %s", to)
	}
	page.csrf = w.page(t, p, w.signing()+"/client?token="+asked.field("token")).csrf
	if a := call("/client/open", byID); a.status != http.StatusOK || a.field("state") != "opened" {
		t.Fatalf("the page: %d %s", a.status, a.body)
	}
	if a := call("/client/sign", byID); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if !gateway.Eventually(patience, func() bool { return p.get(w.signing()+"/client/session?id="+id).field("state") == "signed" }) {
		t.Error("it is not signed")
	}
}

// forget has the provider forget who signed in with this browser, as it does when they log out there.
func (w *world) forget(t *testing.T, p *person) {
	t.Helper()
	at, err := url.Parse(w.issuer)
	if err != nil {
		t.Fatal(err)
	}
	var gone []*http.Cookie
	for _, name := range []string{"_session", "_session.sig", "_session.legacy", "_session.legacy.sig"} {
		gone = append(gone, &http.Cookie{Name: name, Path: "/", MaxAge: -1})
	}
	p.http.Jar.SetCookies(at, gone)
}
