package openid

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// op is a provider of which everything can be changed.
type op struct {
	*httptest.Server
	signer *jwks.Signer
	mint   *jwks.Signer   // signs ID tokens; nil: signer
	claims map[string]any // of the ID token
	info   string         // what userinfo answers

	endpoint string // where it has people sign in; empty: its own
}

func newOP(t *testing.T) *op {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		t.Fatal(err)
	}
	o := &op{}
	if o.signer, err = jwks.NewSigner("op-1", key); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": o.URL, "authorization_endpoint": cmp.Or(o.endpoint, o.URL+"/auth"), "token_endpoint": o.URL + "/token",
			"userinfo_endpoint": o.URL + "/me", "jwks_uri": o.URL + "/keys",
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		set, err := o.signer.PublicSet()
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(set)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		token, err := cmp.Or(o.mint, o.signer).Mint(o.claims)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token})
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(o.info))
	})
	return o
}

// What a provider's ID token must say for the sign-in that it answers. The nonce ties it to the browser that began:
// an ID token of another sign-in, replayed, is refused though all else of it holds.
func TestRedeem(t *testing.T) {
	o := newOP(t)
	p, err := New(Options{Issuer: o.URL, ClientID: "gateway", Secret: "s", HTTP: o.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	way := oauth.NewSignIn("https://gateway.example/callback", "state-1", "the browser's secret")
	other := oauth.NewSignIn("https://gateway.example/callback", "state-2", "the browser's secret")
	now := time.Now()
	right := map[string]any{
		"iss": o.URL, "aud": "gateway", "sub": "555086689106", "nonce": way.Nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		levelClaim: 3, "sid": "s1",
	}
	for name, c := range map[string]struct {
		change map[string]any // nil takes the claim out
		info   string
		denied bool
	}{
		"right":                       {},
		"the nonce of another way":    {map[string]any{"nonce": other.Nonce}, "", true},
		"no nonce":                    {map[string]any{"nonce": nil}, "", true},
		"an empty nonce":              {map[string]any{"nonce": ""}, "", true},
		"for another client":          {map[string]any{"aud": "somebody"}, "", true},
		"for two, and no party":       {map[string]any{"aud": []string{"gateway", "somebody"}}, "", true},
		"for us, of another party":    {map[string]any{"azp": "somebody"}, "", true},
		"for two, of another party":   {map[string]any{"aud": []string{"gateway", "somebody"}, "azp": "somebody"}, "", true},
		"for two, of a third":         {map[string]any{"aud": []string{"gateway", "somebody"}, "azp": "third"}, "", true},
		"for two, of ours":            {map[string]any{"aud": []string{"gateway", "somebody"}, "azp": "gateway"}, "", false},
		"of an event":                 {map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, "", true},
		"of another issuer":           {map[string]any{"iss": "https://evil.example"}, "", true},
		"expired":                     {map[string]any{"exp": now.Add(-time.Hour).Unix()}, "", true},
		"with another access token":   {map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "", true},
		"of nobody":                   {map[string]any{"sub": nil}, "", true},
		"and userinfo of another one": {nil, `{"sub":"111111111111"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			o.claims, o.info = maps.Clone(right), `{"sub":"555086689106"}`
			for claim, value := range c.change {
				if o.claims[claim] = value; value == nil {
					delete(o.claims, claim)
				}
			}
			if c.info != "" {
				o.info = c.info
			}
			person, err := p.Redeem(t.Context(), way, "code")
			if c.denied != errors.Is(err, oauth.ErrDenied) || (!c.denied && err != nil) {
				t.Fatalf("%+v, %v", person, err)
			}
			if !c.denied && (person.User != "555086689106" || person.Level != 3 || person.SID != "s1" || person.Issuer != o.URL || person.Party != "gateway") {
				t.Errorf("%+v", person)
			}
		})
	}
}

// One browser's two ways have nothing in common that could be replayed.
func TestWays(t *testing.T) {
	a, b := oauth.NewSignIn("r", "1", "secret"), oauth.NewSignIn("r", "2", "secret")
	if a.Nonce == b.Nonce || a.Verifier == b.Verifier || a.Nonce == a.Verifier || a.Nonce == "" {
		t.Errorf("%+v, %+v", a, b)
	}
}

// acr_values are the sign-in's, the provider's, or the default (TOK-8.2).
func TestACRValues(t *testing.T) {
	o := newOP(t)
	for _, c := range []struct{ configured, asked, want string }{{"", "", "AAL3_ANY"}, {"AAL2_ANY", "", "AAL2_ANY"}, {"AAL2_ANY", "AAL1_USERPASS", "AAL1_USERPASS"}} {
		p, err := New(Options{Issuer: o.URL, ClientID: "gateway", Secret: "s", HTTP: o.Client(), ACR: c.configured})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		way := oauth.NewSignIn("r", "s", "x")
		way.ACR = c.asked
		to, err := p.AuthCodeURL(t.Context(), way)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := url.Parse(to); err != nil || u.Query().Get("acr_values") != c.want {
			t.Errorf("%+v: the browser is sent to %s", c, to)
		}
	}
}

// A provider is reached where it says what it is, and asked anew each time.
func TestReach(t *testing.T) {
	o := newOP(t)
	p := newProvider(t, o)
	want := o.URL + "/.well-known/openid-configuration"
	if address, status, err := p.Reach(t.Context()); address != want || status != http.StatusOK || err != nil {
		t.Errorf("got %s, %d, %v; want %s, 200", address, status, err, want)
	}
	p.Options.Issuer = o.URL + "/elsewhere"
	if address, status, err := p.Reach(t.Context()); address != o.URL+"/elsewhere/.well-known/openid-configuration" || status != http.StatusNotFound || err == nil {
		t.Errorf("where it is not: got %s, %d, %v", address, status, err)
	}
	p.Options.Issuer = o.URL
	o.Close()
	if address, status, err := p.Reach(t.Context()); address != want || status != 0 || err == nil {
		t.Errorf("while it is away: got %s, %d, %v", address, status, err)
	}
}
