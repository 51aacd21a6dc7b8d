package caddymodule

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/oauth"
)

// /userinfo refuses as every resource without a shape of its own does, and strangers no faster.
func TestUserInfoRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
		held   bool
	}{
		"missing": {&oauth.BearerError{Code: oauth.BearerMissing}, 401,
			`{"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"oauth.v2.InvalidAccessToken"}}}`, true},
		"unknown": {&oauth.BearerError{Code: oauth.BearerUnknown}, 401,
			`{"fault":{"faultstring":"Invalid Access Token","detail":{"errorcode":"keymanagement.service.invalid_access_token"}}}`, true},
		"expired": {&oauth.BearerError{Code: oauth.BearerExpired}, 401,
			`{"fault":{"faultstring":"Access Token expired","detail":{"errorcode":"keymanagement.service.access_token_expired"}}}`, false},
		"the store is away": {errors.New("no"), 503,
			`{"fault":{"faultstring":"The Service is temporarily unavailable","detail":{"errorcode":"messaging.adaptors.http.flow.ServiceUnavailable"}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			held := false
			door := &userInfoDoor{func(http.ResponseWriter, *http.Request) { held = true }}
			w := httptest.NewRecorder()
			door.refuse(w, httptest.NewRequest("GET", "/userinfo", nil), c.err)
			if w.Code != c.status || w.Body.String() != c.body || held != c.held || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s, held %v", w.Code, w.Body, held)
			}
			if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (c.status == 401) {
				t.Errorf("WWW-Authenticate %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}
