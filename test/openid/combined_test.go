package openid_test

import (
	"crypto/rand"
	"net/http"
	"testing"
)

// The combined flow as it should be: authorize, the provider, callback, code, tokens, API, userinfo, refresh.
func TestCombined(t *testing.T) {
	w := newWorld(t)
	got := w.tokens(t, alice)
	for name, want := range map[string]string{"expires_in": "599", "token_type": "Bearer", "refresh_token_expires_in": "43199", "refresh_count": "0", "sid": ""} {
		if value := got.field(name); value == "" || want != "" && value != want {
			t.Errorf("%s is %q in %s", name, value, got.body)
		}
	}
	w.mustWork(t, got.field("access_token"), alice)
	info := newPerson(t).get(w.base()+"/userinfo", "Authorization", "Bearer "+got.field("access_token"))
	if info.status != http.StatusOK || info.field("sub") != alice || info.field("name") != "Alice Made-Up" {
		t.Errorf("userinfo: %d %s", info.status, info.body)
	}
	again := w.post(t, w.refreshing(got.field("refresh_token")))
	if again.status != http.StatusOK || again.field("refresh_count") != "1" || again.field("sid") != "" ||
		again.field("refresh_token") == got.field("refresh_token") {
		t.Fatalf("refresh: %d %s", again.status, again.body)
	}
	w.mustWork(t, again.field("access_token"), alice)
	w.mustWork(t, got.field("access_token"), alice)
}

// A gateway may prove itself by a key instead of a secret.
func TestPrivateKeyJWT(t *testing.T) {
	w := newWorld(t, func(w *world) { w.lines = "client_id countersign-key\n\t\t\tkey acme-1 " + w.key.Private })
	w.mustWork(t, w.tokens(t, bob).field("access_token"), bob)
}

// PKCE towards clients is optional; once used it is required.
func TestClientsPKCE(t *testing.T) {
	w := newWorld(t)
	verifier := rand.Text() + rand.Text()
	query := w.asked("s")
	query.Set("code_challenge", challenge(verifier))
	query.Set("code_challenge_method", "S256")
	code := w.code(t, newPerson(t), alice, query)
	form := w.redeeming(code)
	for _, wrong := range []string{"", verifier + "x", challenge(verifier)} {
		form.Set("code_verifier", wrong)
		if a := w.post(t, form); a.status != 400 || a.field("error") != "invalid_grant" || a.field("error_description") != "authorization_code is invalid" {
			t.Errorf("verifier %q: %d %s", wrong, a.status, a.body)
		}
	}
	form.Set("code_verifier", verifier)
	if a := w.post(t, form); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	form = w.redeeming(w.code(t, newPerson(t), alice, w.asked("s")))
	form.Set("code_verifier", verifier)
	if a := w.post(t, form); a.status != 400 || a.field("error") != "invalid_grant" {
		t.Errorf("a verifier that nobody asked for: %d %s", a.status, a.body)
	}
}
