package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// logOut has the provider say that somebody is gone.
func (w *userWorld) logOut(t *testing.T, token Logout) {
	t.Helper()
	w.stub.logout = token
	if a := w.sayLogout(); a.Code != http.StatusOK {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
}

func (w *userWorld) sayLogout() *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, base+"/backchannel-logout", strings.NewReader("logout_token=x"))
	r.URL.Path = "/backchannel-logout"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	return recorder
}

// A sign-in that is on its way when the provider ends it does not outlive it, in whatever order things arrive.
func TestASignInThatEndsBeforeItsCode(t *testing.T) {
	at := func(w *userWorld, minutes int) time.Time {
		return w.clock.Now().Add(time.Duration(minutes) * time.Minute)
	}
	for name, c := range map[string]struct {
		token  func(w *userWorld) Logout
		denied bool
	}{
		"its session":                  {func(w *userWorld) Logout { return Logout{SID: "sid-1", Issued: at(w, 1)} }, true},
		"all of the person's, later":   {func(w *userWorld) Logout { return Logout{User: w.stub.person.User, Issued: at(w, 1)} }, true},
		"all of the person's, no iat":  {func(w *userWorld) Logout { return Logout{User: w.stub.person.User} }, true},
		"all of the person's, earlier": {func(w *userWorld) Logout { return Logout{User: w.stub.person.User, Issued: at(w, -1)} }, false},
		"another session":              {func(*userWorld) Logout { return Logout{SID: "sid-2"} }, false},
		"another person's":             {func(w *userWorld) Logout { return Logout{User: "somebody", Issued: at(w, 1)} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newUserWorld(t)
			w.stub.person.Issued = w.clock.Now()
			away, _ := url.Parse(w.browse(asking).Header().Get("Location"))
			token := c.token(w)
			token.Issuer, token.ID, token.Expires = w.stub.person.Issuer, "jti-1", w.clock.Now().Add(time.Minute)
			w.logOut(t, token)
			home, _ := url.Parse(w.browse("/callback?code=x&state=" + away.Query().Get("state")).Header().Get("Location"))
			if got := home.Query(); (got.Get("error") == codeDenied) != c.denied || got.Has("code") == c.denied {
				t.Errorf("the client is sent %v", got)
			}
		})
	}
}

// A person who logged out can sign in again, and an older logout token does not make a newer one less.
func TestSigningInAfterALogout(t *testing.T) {
	w := newUserWorld(t)
	now := w.clock.Now()
	person := &w.stub.person
	token := Logout{Issuer: person.Issuer, User: person.User, ID: "jti-2", Issued: now.Add(time.Minute), Expires: now.Add(time.Hour)}
	w.logOut(t, token)
	token.ID, token.Issued = "jti-1", now.Add(-time.Minute)
	w.logOut(t, token)
	person.Issued = now
	if back := w.back(t); back.Get("error") != codeDenied {
		t.Errorf("an ID token of before: %v", back)
	}
	person.Issued = now.Add(2 * time.Minute)
	if back := w.back(t); back.Get("code") == "" {
		t.Errorf("signed in again: %v", back)
	}
}

func TestALogoutAtTheVeryMoment(t *testing.T) {
	w := newUserWorld(t)
	race := &raceOn{Store: w.store, key: "family/"}
	w.Store = race
	for i, token := range []Logout{{SID: "sid-1"}, {User: w.stub.person.User}} {
		token.Issuer, token.ID, token.Expires = w.stub.person.Issuer, "jti-"+string(rune('a'+i)), w.clock.Now().Add(time.Minute)
		w.stub.person.Issued = w.clock.Now().Add(time.Duration(i) * time.Hour) // the other order is a test of its own
		w.stub.person.SID = []string{"sid-1", "sid-2"}[i]
		race.first = func() { w.logOut(t, token) }
		if back := w.back(t); back.Get("error") != codeDenied || race.first != nil {
			t.Errorf("%+v: the client is sent %v", token, back)
		}
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
