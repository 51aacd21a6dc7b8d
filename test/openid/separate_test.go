package openid_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// idTokenOf has the person sign in at the provider for a client of the provider's own, without the gateway.
func (w *world) idTokenOf(t *testing.T, client, name string) string {
	t.Helper()
	p, verifier := newPerson(t), rand.Text()+rand.Text()
	const redirect = "http://localhost:9/own"
	query := url.Values{"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}, "acr_values": {"AAL3_ANY"}, "nonce": {"n"}}
	back, err := url.Parse(p.signIn(w.issuer, w.issuer+"/auth?"+query.Encode(), name))
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("the provider sends the browser to %s", back)
	}
	a := p.send("POST", w.issuer+"/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "client_secret": {secret},
		"code": {back.Query().Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier}}.Encode())
	if a.field("id_token") == "" {
		t.Fatalf("no ID token: %d %s", a.status, a.body)
	}
	// oidc-provider leaves typ out of an ID token's header, which OpenID allows and the contract does not.
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(a.field("id_token"), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return w.signedByProvider(t, map[string]any{"typ": "JWT"}, json.RawMessage(payload))
}

// signedByProvider is what the provider would sign; what the header lacks, it adds.
func (w *world) signedByProvider(t *testing.T, header map[string]any, claims any) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"header": header, "claims": claims})
	if err != nil {
		t.Fatal(err)
	}
	token := newPerson(t).send("POST", w.issuer+"/test/sign", string(body)).body
	w.MustNotLog(token)
	return token
}

func (w *world) exchanging(t *testing.T, client, token string) url.Values {
	t.Helper()
	return url.Values{"grant_type": {exchange}, "client_assertion_type": {assertion}, "client_assertion": {w.assertion(t, client)},
		"subject_token_type": {idToken}, "subject_token": {token}}
}

// The separate flow: the client has the person sign in by itself and exchanges the ID token.
func TestSeparate(t *testing.T) {
	w := newWorld(t)
	token := w.idTokenOf(t, "acme-at-op", alice)
	form := w.exchanging(t, "acme", token)
	got := w.post(t, form)
	for name, want := range map[string]string{
		"expires_in": "599", "token_type": "Bearer", "refresh_token_expires_in": "43199", "refresh_count": "0",
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
	} {
		if got.status != http.StatusOK || got.field(name) != want {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
	}
	w.mustWork(t, got.field("access_token"), alice)
	mustTell(t, w.post(t, form), 400, ir, "Non-unique 'jti' claim in client_assertion JWT")

	info := newPerson(t).get(w.base()+"/userinfo", "Authorization", "Bearer "+got.field("access_token"))
	mustTell(t, info, 400, ir, "The Userinfo endpoint is only supported for Combined Auth integrations. Currently this is only for NHS CIS2 authentications - "+
		"for more guidance see https://digital.nhs.uk/developer/guides-and-documentation/security-and-authorisation/user-restricted-restful-apis-nhs-cis2-combined-authentication-and-authorisation")

	again := w.post(t, w.refreshing(got.field("refresh_token")))
	if again.status != http.StatusOK || again.field("refresh_count") != "1" {
		t.Fatalf("refreshed by secret: %d %s", again.status, again.body)
	}
	proving := func(token, proof string) answer {
		return w.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token},
			"client_assertion_type": {assertion}, "client_assertion": {proof}})
	}
	once := w.assertion(t, "acme")
	third := proving(again.field("refresh_token"), once)
	if third.status != http.StatusOK || third.field("refresh_count") != "2" {
		t.Fatalf("refreshed by assertion: %d %s", third.status, third.body)
	}
	mustTell(t, proving(third.field("refresh_token"), once), 400, ir, "Non-unique 'jti' claim in client_assertion JWT")
	mustTell(t, proving(third.field("refresh_token"), w.assertion(t, "beta")), 401, "invalid_grant", refreshInvalid)
	third = proving(third.field("refresh_token"), w.assertion(t, "acme"))
	if third.field("refresh_count") != "3" {
		t.Fatalf("after what was refused: %d %s", third.status, third.body)
	}
	w.mustWork(t, third.field("access_token"), alice)

	mustTell(t, w.post(t, w.exchanging(t, "acme", w.idTokenOf(t, "acme-at-op", carol))), 401, "unauthorized_client", row25)
	mustTell(t, w.post(t, w.exchanging(t, "acme", w.idTokenOf(t, "acme-at-op", dave))), 401, "unauthorized_client", row25)
	mustTell(t, w.post(t, w.exchanging(t, "userless", w.idTokenOf(t, "acme-at-op", alice))), 401, ir, "Invalid 'aud' claim in subject_token JWT")
}

// An ID token for somebody else's client is not for this one to exchange.
func TestAnotherAudience(t *testing.T) {
	w := newWorld(t)
	const words = "Invalid 'aud' claim in subject_token JWT"
	mustTell(t, w.post(t, w.exchanging(t, "acme", w.idTokenOf(t, "other-at-op", alice))), 401, ir, words)
	mustTell(t, w.post(t, w.exchanging(t, "beta", w.idTokenOf(t, "acme-at-op", alice))), 401, ir, words)
	if a := w.post(t, w.exchanging(t, "acme", w.idTokenOf(t, "acme-at-op", alice))); a.status != http.StatusOK {
		t.Errorf("its own: %d %s", a.status, a.body)
	}
}
