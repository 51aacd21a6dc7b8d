package oauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What /userinfo says to each kind of token, row by row (TOK-4.3, TOK-5.24).
func TestUserInfoRows(t *testing.T) {
	w := newUserWorld(t)
	var refused BearerCode
	w.RefuseBearer = func(rw http.ResponseWriter, _ *http.Request, err error) {
		refused = BearerCodeOf(err)
		rw.WriteHeader(http.StatusUnauthorized)
	}
	ask := func(authorizations ...string) *httptest.ResponseRecorder {
		refused = ""
		r := httptest.NewRequest(http.MethodGet, base+"/userinfo", nil)
		r.URL.Path = "/userinfo"
		r.Header["Authorization"] = authorizations
		recorder := httptest.NewRecorder()
		w.ServeHTTP(recorder, r)
		return recorder
	}
	bearer := func(a answer) string { return "Bearer " + fmt.Sprint(a.fields["access_token"]) }
	good := w.redeem(w.back(t).Get("code"))
	if a := ask(bearer(good)); a.Code != http.StatusOK || a.Body.String() != string(w.stub.person.Info) || a.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	other := w.redeem(w.back(t).Get("code"))
	gone := w.redeem(w.back(t).Get("code"))
	grant, err := w.check.Check(t.Context(), bearer(gone))
	if err != nil || w.revoke(t.Context(), grant.Family) != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		shown []string
		want  BearerCode
	}{
		"none":                {nil, BearerMissing},
		"empty":               {[]string{""}, BearerMissing},
		"no token":            {[]string{"Bearer "}, BearerMissing},
		"another scheme":      {[]string{"Basic YTpi"}, BearerMissing},
		"two":                 {[]string{bearer(good), bearer(other)}, BearerMissing},
		"unknown":             {[]string{"Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, BearerUnknown},
		"no token of ours":    {[]string{"Bearer x"}, BearerUnknown},
		"a refresh token":     {[]string{"Bearer " + fmt.Sprint(good.fields["refresh_token"])}, BearerUnknown},
		"of a sign-in's past": {[]string{bearer(gone)}, BearerUnknown},
	} {
		if a := ask(c.shown...); a.Code != http.StatusUnauthorized || refused != c.want {
			t.Errorf("%s: %d, %q", name, a.Code, refused)
		}
	}
	w.clock.Add(600 * time.Second)
	if a := ask(bearer(good)); a.Code != http.StatusUnauthorized || refused != BearerExpired {
		t.Errorf("expired: %d, %q", a.Code, refused)
	}
	w.check.Approved = func(string) bool { return false }
	if a := ask(bearer(w.redeem(w.back(t).Get("code")))); a.Code != http.StatusUnauthorized || refused != BearerUnknown {
		t.Errorf("of a client that was revoked: %d, %q", a.Code, refused)
	}
}
