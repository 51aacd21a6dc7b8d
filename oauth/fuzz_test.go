package oauth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Whatever a stranger posts, the answer is a row, and never a token.
func FuzzTokenRequest(f *testing.F) {
	w := newWorld(f)
	good := forge(f, map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}, w.claimsOf("acme"))
	f.Add(form(good).Encode())
	f.Add(form("a.b.").Encode())
	f.Add("grant_type=client_credentials&grant_type=x&client_assertion=%00")
	f.Add("grant_type=client_credentials;client_assertion=x")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, _ := w.answer(r) // holding it to its description would leave no time for others
		if a.status < 400 || a.status > 429 || len(a.fields) != 3 || a.fields["error"] == "" || a.fields["error_description"] == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// Whatever stands in an assertion, reading it neither panics nor finds a date in what is no number.
func FuzzAssertion(f *testing.F) {
	f.Add(`{"alg":"RS512","kid":"k","typ":"JWT"}`, `{"iss":"a","sub":"a","aud":"x","jti":"j","exp":1}`)
	f.Add(`{"alg":"none"}`, `{"exp":"1e5"}`)
	f.Add(`{}`, `{"exp":-1e999}`)
	f.Fuzz(func(t *testing.T, header, claims string) {
		for _, signature := range []string{"", "AAAA"} {
			a, err := parseAssertion(encoded(header) + "." + encoded(claims) + "." + signature)
			if err != nil {
				continue
			}
			seconds, ok := a.seconds()
			if seconds != seconds || !ok && seconds != 0 {
				t.Errorf("exp of %q is %v", claims, seconds)
			}
			if key := keys()["acme-1"].Key(); a.jws.VerifyAlg(key, "RS256", "RS512") == nil {
				t.Errorf("a JWT that nobody signed verifies: %q, %q", header, claims)
			}
		}
	})
}

// Whatever the provider signs, a logout token that counts is for us, names a session, has no nonce and is in time.
func FuzzLogoutToken(f *testing.F) {
	now := newClock().Now()
	f.Add(`{"iss":"https://op.example","aud":["gateway"],"sid":"s","exp":2000000000,"events":{"` + logoutEvent + `":{}}}`)
	f.Add(`{"iss":"HTTPS://OP.EXAMPLE","aud":"gateway","sid":"s","iat":1e9,"events":{},"nonce":null}`)
	f.Add(`{"aud":[],"exp":"1","iat":-1e999}`)
	a := &Authorizer{Options: Options{Now: func() time.Time { return now }}}
	a.Provider = &stub{key: keys()["stranger"].Key()}
	f.Fuzz(func(t *testing.T, claims string) {
		if !json.Valid([]byte(claims)) {
			return
		}
		token, err := keys()["stranger"].Mint(json.RawMessage(claims))
		if err != nil {
			return
		}
		sid, err := a.loggedOut(t.Context(), []string{token})
		if err != nil {
			return
		}
		var said map[string]any
		if err := json.Unmarshal([]byte(claims), &said); err != nil {
			t.Fatal(err)
		}
		exp, hasExp := said["exp"].(float64)
		iat, _ := said["iat"].(float64)
		_, hasNonce := said["nonce"]
		if said["sid"] != sid || sid == "" || hasNonce || hasExp && exp <= float64(now.Unix()) || !hasExp && iat < float64(now.Unix())-301 {
			t.Errorf("%s ends the session %q", claims, sid)
		}
	})
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// Whatever stands in the Authorization header, it is no token of ours.
func FuzzAuthorization(f *testing.F) {
	w := newWorld(f)
	f.Add("Bearer 0000000000000000000000000000")
	f.Add("bearer\t x")
	f.Fuzz(func(t *testing.T, authorization string) {
		if code := BearerCodeOf(func() error { _, err := w.check.Check(t.Context(), authorization); return err }()); code != BearerMissing && code != BearerUnknown {
			t.Errorf("%q: code %q", authorization, code)
		}
	})
}

// What was kept comes back as it was, and nothing else is read.
func FuzzGrant(f *testing.F) {
	issued := newClock().Now()
	grant := Grant{Client: "acme", Level: LevelApplication, Scopes: []string{signingScope, ""}, Products: []string{"a b"}, Issued: issued, Expires: issued.Add(tokenLife)}
	f.Add(grant.record("x").Value)
	f.Add([]byte{grantFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		read, err := parseGrant(value)
		if err != nil {
			return
		}
		again, err := parseGrant(read.record("x").Value)
		if err != nil || !reflect.DeepEqual(read, again) {
			t.Errorf("%+v became %+v (%v)", read, again, err)
		}
	})
}
