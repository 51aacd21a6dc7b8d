package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// tokens is a checker of made-up tokens.
type tokens map[string]oauth.Grant

func (t tokens) Check(_ context.Context, authorization string) (oauth.Grant, error) {
	switch authorization {
	case "":
		return oauth.Grant{}, &oauth.BearerError{Code: oauth.BearerMissing}
	case "Bearer old":
		return oauth.Grant{}, &oauth.BearerError{Code: oauth.BearerExpired}
	case "Bearer away":
		return oauth.Grant{}, errors.New("the store is away")
	}
	grant, ok := t[authorization]
	if !ok {
		return grant, &oauth.BearerError{Code: oauth.BearerUnknown}
	}
	return grant, nil
}

// request is one with what Caddy puts into its context.
func request(token string) (*http.Request, *caddy.Replacer) {
	r := httptest.NewRequest("GET", "/", nil)
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	replacer := caddy.NewReplacer()
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, replacer)
	return r.WithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})), replacer
}

var (
	application = oauth.Grant{Client: "acme", Level: oauth.LevelApplication, Scopes: []string{"a", "b"}, Products: []string{"p"}}
	withUser    = oauth.Grant{Client: "acme", User: "555086689106", Level: "aal3", Scopes: []string{"c"}}
)

func TestBearerDemands(t *testing.T) {
	known := tokens{"Bearer app": application, "Bearer user": withUser}
	for name, c := range map[string]struct {
		demands Demands
		token   string
		want    int
	}{
		"none":                   {Demands{}, "Bearer app", 200},
		"one scope of two":       {Demands{Scopes: [][]string{{"x", "b"}}}, "Bearer app", 200},
		"a scope of each line":   {Demands{Scopes: [][]string{{"a"}, {"b"}}}, "Bearer app", 200},
		"a line unfulfilled":     {Demands{Scopes: [][]string{{"a"}, {"x"}}}, "Bearer app", 403},
		"a product":              {Demands{Products: [][]string{{"p"}}}, "Bearer app", 200},
		"another product":        {Demands{Products: [][]string{{"q"}}}, "Bearer app", 403},
		"a user":                 {Demands{User: true}, "Bearer user", 200},
		"no user":                {Demands{User: true}, "Bearer app", 403},
		"a level":                {Demands{Levels: []string{"aal2", "aal3"}}, "Bearer user", 200},
		"another level":          {Demands{Levels: []string{"aal3"}}, "Bearer app", 403},
		"missing":                {Demands{}, "", 401},
		"unknown":                {Demands{}, "Bearer x", 401},
		"expired":                {Demands{}, "Bearer old", 401},
		"nobody can be asked":    {Demands{}, "Bearer away", 503},
		"a demand, and no token": {Demands{User: true}, "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			for _, shape := range []Shape{ShapeJSON, ShapeFHIR, ShapeSigning} {
				b := &Bearer{Demands: c.demands, Errors: shape, door: &Door{Demands: c.demands, checker: known}, logger: slog.New(slog.DiscardHandler)}
				r, _ := request(c.token)
				w := httptest.NewRecorder()
				passed := false
				err := b.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { passed = true; return nil }))
				if err != nil || passed != (c.want == 200) || w.Code != c.want {
					t.Errorf("%s: %d, passed %v (%v)", shape, w.Code, passed, err)
				}
				if c.want == 200 {
					continue
				}
				descriptiontest.MustAnswerAs(t, "../oauth/openapi/openapi.json", map[int]string{401: "TokenRefused", 403: "TokenInsufficient", 503: "TokenUnchecked"}[w.Code], r, w)
				var body map[string]any
				if json.Unmarshal(w.Body.Bytes(), &body) != nil || len(body) == 0 || strings.Contains(w.Body.String(), withUser.User) {
					t.Errorf("%s: %s", shape, w.Body)
				}
				if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (c.want != 503) || (w.Header().Get("Retry-After") != "") == challenged {
					t.Errorf("%s: %v", shape, w.Header())
				}
			}
		})
	}
}

// What the contract words for a resource that has no shape of its own (TOK-4.3).
func TestFaultWords(t *testing.T) {
	for code, want := range map[oauth.BearerCode]string{
		oauth.BearerMissing: `{"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"oauth.v2.InvalidAccessToken"}}}`,
		oauth.BearerUnknown: `{"fault":{"faultstring":"Invalid Access Token","detail":{"errorcode":"keymanagement.service.invalid_access_token"}}}`,
		oauth.BearerExpired: `{"fault":{"faultstring":"Access Token expired","detail":{"errorcode":"keymanagement.service.access_token_expired"}}}`,
	} {
		w := httptest.NewRecorder()
		r, _ := request("")
		ShapeJSON.write(w, r, refusal{status: 401, reason: code})
		if w.Body.String() != want {
			t.Errorf("%s: %s", code, w.Body)
		}
	}
}

func TestBearerProvider(t *testing.T) {
	p := &BearerProvider{door: &Door{Demands: Demands{Scopes: [][]string{{"a"}}}, checker: tokens{"Bearer app": application, "Bearer user": withUser}}}
	r, replacer := request("Bearer app")
	user, ok, err := p.Authenticate(httptest.NewRecorder(), r)
	if err != nil || !ok || user.ID != "acme" {
		t.Errorf("%+v %v %v", user, ok, err)
	}
	if got := replacer.ReplaceAll("{countersign.client}|{countersign.user}|{countersign.level}|{countersign.scopes}|{countersign.products}|{countersign.other}", "?"); got != "acme|?|level3|a b|p|?" {
		t.Errorf("placeholders %s", got)
	}
	if got := caddyhttp.GetVar(r.Context(), "countersign.scopes"); got != "a b" {
		t.Errorf("variable %v", got)
	}
	for token, challenge := range map[string]string{
		"": "Bearer", "Bearer x": `Bearer error="invalid_token"`, "Bearer user": `Bearer error="insufficient_scope"`,
	} {
		w := httptest.NewRecorder()
		r, _ := request(token)
		if _, ok, err := p.Authenticate(w, r); ok || err == nil || w.Header().Get("WWW-Authenticate") != challenge {
			t.Errorf("%q: %v %v %v", token, ok, err, w.Header())
		}
	}
	r, _ = request("Bearer app")
	r.Header.Add("Authorization", "Bearer user")
	if _, ok, _ := p.Authenticate(httptest.NewRecorder(), r); ok {
		t.Error("two tokens are taken")
	}
}
