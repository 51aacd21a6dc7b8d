package openid_test

import (
	"net/http"
	"strings"
	"testing"
)

// What the public implementation has besides (TOK-8.1, TOK-8.3, TOK-8.13, TOK-8.14).
func TestFurtherRules(t *testing.T) {
	w := newWorld(t)
	t.Run("shorter lives outside production", w.shorterLives)
	t.Run("a product is taken away between code and token", w.productTakenAway)
	t.Run("the provider is one of the checks", w.statusNamesTheProvider) // which it is not after that
}

func (w *world) shorterLives(t *testing.T) {
	got := w.post(t, with(w.redeeming(w.code(t, newPerson(t), alice, w.asked("s"))), "_access_token_expiry_ms", "0"))
	if got.status != http.StatusOK || got.field("expires_in") != "0" || got.field("refresh_token_expires_in") != "43199" {
		t.Fatalf("got status %d, body %s", got.status, got.body)
	}
	if a := w.api(t, got.field("access_token")); a.status != 401 || !strings.Contains(a.body, "Access Token expired") {
		t.Errorf("the access token: got status %d, body %s", a.status, a.body)
	}
	refresh := w.refreshing(got.field("refresh_token"))
	const over = "refresh token refresh period has expired"
	mustTell(t, w.post(t, with(refresh, "_refresh_tokens_validity_ms", "0")), 401, "invalid_grant", over)
	next := w.post(t, with(refresh, "_refresh_token_expiry_ms", "0"))
	if next.status != http.StatusOK || next.field("expires_in") != "599" || next.field("refresh_token_expires_in") != "0" {
		t.Fatalf("got status %d, body %s", next.status, next.body)
	}
	w.mustWork(t, next.field("access_token"), alice)
	mustTell(t, w.post(t, w.refreshing(next.field("refresh_token"))), 401, "invalid_grant", over)
}

func (w *world) productTakenAway(t *testing.T) {
	code := w.code(t, newPerson(t), alice, w.asked("s"))
	text := w.caddyfile()
	w.Reload(strings.Replace(text, "products signing users", "products signing", 1))
	mustTell(t, w.post(t, w.redeeming(code)), 401, "access_denied",
		"API Key supplied does not have access to this resource. Please check the API Key you are using belongs to an app which has sufficient access to access this resource.")
	w.Reload(text)
	if a := w.post(t, w.redeeming(code)); a.status != http.StatusOK {
		t.Errorf("with the product again: got status %d, body %s", a.status, a.body)
	}
}

func (w *world) statusNamesTheProvider(t *testing.T) {
	status := func(key string) answer { return newPerson(t).get(w.base()+"/_status", "apikey", key) }
	for _, key := range []string{"", "wrong"} {
		if a := status(key); a.status != 401 || a.body != `{"error":"Access Denied","error_description":"Invalid api key for _status monitoring endpoint"}` {
			t.Errorf("key %q: got status %d, body %s", key, a.status, a.body)
		}
	}
	self := `"links":{"self":"` + w.issuer + `/.well-known/openid-configuration"}`
	if a := status("s3cret"); a.field("status") != "pass" || !strings.Contains(a.body, `"nhs-cis2":{"status":"pass","timeout":"false","responseCode":200,"outcome":"OK",`+self) {
		t.Errorf("got status %d, body %s", a.status, a.body)
	}
	w.op.Kill()
	if a := status("s3cret"); a.field("status") != "warn" || !strings.Contains(a.body, `"nhs-cis2":{"status":"fail","timeout":"false","responseCode":503,"outcome":"unavailable",`+self) ||
		!strings.Contains(a.body, `"store":{"status":"pass"`) {
		t.Errorf("without the provider: got status %d, body %s", a.status, a.body)
	}
}
