package openid

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

func newProvider(t *testing.T, o *op) *Provider {
	t.Helper()
	p, err := New(Options{Issuer: o.URL, ClientID: "gateway", Secret: "s", HTTP: o.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Whoever answers in the provider's place has not its key, whatever else of an ID token is right.
func TestAForgedSignature(t *testing.T) {
	o := newOP(t)
	p := newProvider(t, o)
	way := oauth.NewSignIn("https://gateway.example/callback", "state", "secret")
	now := time.Now()
	o.claims = map[string]any{"iss": o.URL, "aud": "gateway", "sub": "1", "nonce": way.Nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	o.info = `{"sub":"1"}`
	private, err := jwks.GenerateRSA(2048, nil)
	if err != nil {
		t.Fatal(err)
	}
	forger, err := jwks.NewSigner("op-1", private)
	if err != nil {
		t.Fatal(err)
	}
	right := o.signer
	for _, signer := range []*jwks.Signer{right, forger} {
		mint := func(claims any) string {
			token, err := signer.Mint(claims)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		id := mint(o.claims)
		_, identified := p.Identify(t.Context(), id)
		o.mint = signer
		_, redeemed := p.Redeem(t.Context(), way, "code")
		for what, err := range map[string]error{"an ID token": identified, "an answer": redeemed} {
			if (signer == forger) != errors.Is(err, oauth.ErrDenied) || signer == right && err != nil {
				t.Errorf("%s, forged %v: %v", what, signer == forger, err)
			}
		}
	}
}

// A level is one of three, as a number or in a text; whatever else a provider says is none.
func TestLevels(t *testing.T) {
	for claim, want := range map[string]int{
		`1`: 1, `2`: 2, `3`: 3, `"1"`: 1, `"3"`: 3, `0`: 0, `4`: 0, `-1`: 0, `33`: 0, `"4"`: 0, `""`: 0, `null`: 0, `true`: 0, `3.0`: 0, `"aal3"`: 0, `[3]`: 0, `{}`: 0, `"3 "`: 0, ``: 0,
	} {
		if got := levelOf(json.RawMessage(claim)); got != want {
			t.Errorf("%s is level %d", strconv.Quote(claim), got)
		}
	}
}

// Browsers are sent to web addresses alone, and from an https issuer to https ones.
func TestAuthorizationEndpoint(t *testing.T) {
	for _, c := range []struct {
		issuer, endpoint string
		good             bool
	}{
		{"https://op.example", "https://login.op.example/authorize?tenant=1", true},
		{"http://localhost:9", "http://localhost:9/authorize", true},
		{"https://op.example", "http://op.example/authorize", false},
		{"https://op.example", "javascript:alert(1)", false},
		{"http://localhost:9", "javascript://localhost:9/%0aalert(1)", false},
		{"https://op.example", "/authorize", false},
		{"https://op.example", "https://op.example/authorize#x", false},
		{"https://op.example", "", false},
	} {
		p := &Provider{Options: Options{Issuer: c.issuer}}
		if err := p.checkEndpoint(c.endpoint); (err == nil) != c.good {
			t.Errorf("%s at %s: %v", c.endpoint, c.issuer, err)
		}
	}
	o := newOP(t)
	o.endpoint = "javascript:alert(1)"
	if to, err := newProvider(t, o).AuthCodeURL(t.Context(), oauth.NewSignIn("r", "s", "x")); err == nil || !strings.Contains(err.Error(), "authorization_endpoint") {
		t.Errorf("the browser is sent to %s, %v", to, err)
	}
}
