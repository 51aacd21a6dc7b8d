package oauth

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// A number below the default shortens; whatever else is ignored, and so is all of it in production (TOK-8.1).
func TestShorter(t *testing.T) {
	for sent, want := range map[string]time.Duration{
		"5000": 5 * time.Second, "0": 0, "598999": 598999 * time.Millisecond, "599000": tokenLife, "600000": tokenLife, "99999999999999999999": tokenLife,
		"-1": tokenLife, "": tokenLife, "5s": tokenLife, "5.5": tokenLife, "1e3": tokenLife, "5 s": tokenLife,
	} {
		form := url.Values{paramAccessLife: {sent}}
		if got := (&Options{ShorterLives: true}).livesOf(form).access; got != want {
			t.Errorf("%q: got %s, want %s", sent, got, want)
		}
		if got := (&Options{}).livesOf(form).access; got != tokenLife {
			t.Errorf("%q in production: got %s, want %s", sent, got, tokenLife)
		}
	}
	if got := (&Options{ShorterLives: true}).livesOf(url.Values{paramAccessLife: {"1", "2"}}).access; got != tokenLife {
		t.Errorf("two of them: got %s, want %s", got, tokenLife)
	}
}

// Tokens live as short as a test of a client wants them (TOK-8.1).
func TestShorterLives(t *testing.T) {
	w := newUserWorld(t)
	w.Service.ShorterLives = true
	over := row{401, "invalid_grant", "refresh token refresh period has expired"}
	add := func(form url.Values, name, value string) url.Values { form.Set(name, value); return form }
	told := func(a answer, access, refresh string) {
		t.Helper()
		if a.status != http.StatusOK || a.fields["expires_in"] != access || a.fields["refresh_token_expires_in"] != refresh {
			t.Errorf("got status %d, body %s; want expires_in %s and refresh_token_expires_in %s", a.status, a.body, access, refresh)
		}
	}
	expired := func(a answer, want BearerCode) {
		t.Helper()
		token, _ := a.fields["access_token"].(string)
		if _, err := w.check.Check(t.Context(), "Bearer "+token); BearerCodeOf(err) != want {
			t.Errorf("the access token is %q, want %q", BearerCodeOf(err), want)
		}
	}

	application := w.post(add(form(mint(t, "acme-1", w.claimsOf("acme"))), paramAccessLife, "5000"))
	if application.status != http.StatusOK || application.fields["expires_in"] != "5" {
		t.Errorf("client_credentials: got status %d, body %s", application.status, application.body)
	}
	got := w.post(add(add(w.redeeming(w.back(t).Get("code")), paramAccessLife, "5000"), paramRefreshLife, "20000"))
	told(got, "5", "20")
	w.clock.Add(5*time.Second - time.Millisecond)
	expired(application, "")
	expired(got, "")
	w.clock.Add(time.Millisecond)
	expired(application, BearerExpired)
	expired(got, BearerExpired)
	again := w.refreshed(got.fields["refresh_token"])
	told(again, "599", "43194") // the window was not shortened
	again = w.post(add(w.refreshing(again.fields["refresh_token"].(string)), paramRefreshLife, "20000"))
	told(again, "599", "20")
	w.clock.Add(20 * time.Second)
	mustRefuse(t, w.refreshed(again.fields["refresh_token"]), over)

	got = w.redeem(w.back(t).Get("code"))
	token := got.fields["refresh_token"].(string)
	mustRefuse(t, w.post(add(w.refreshing(token), paramRefreshWindow, "0")), over)
	w.clock.Add(time.Minute)
	mustRefuse(t, w.post(add(w.refreshing(token), paramRefreshWindow, "60000")), over)
	again = w.post(add(w.refreshing(token), paramRefreshWindow, "90000")) // which the refusals have not spent
	told(again, "599", "30")
	w.clock.Add(30 * time.Second)
	mustRefuse(t, w.refreshed(again.fields["refresh_token"]), over)
	w.Service.ShorterLives = false
	code := w.back(t).Get("code")
	told(w.post(add(w.redeeming(code), paramAccessLife, "5000")), "599", "43199")
}
