package openid_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// request posts a request for signatures by a person, with a token.
func (w *world) request(t *testing.T, client, token, sub string, payloads ...gateway.Payload) answer {
	t.Helper()
	system := gateway.System{Base: w.signing(), ID: client, Kid: "acme-1", Key: w.key, Sub: sub}
	return newPerson(t).send("POST", w.signing()+"/signaturerequest?state=s", system.JWT(t, "RS256", payloads...),
		"Content-Type", "text/plain", "Authorization", "Bearer "+token)
}

// application is a token of a client without a user.
func (w *world) application(t *testing.T, client string) string {
	t.Helper()
	a := w.post(t, url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertion}, "client_assertion": {w.assertion(t, client)}})
	if a.field("access_token") == "" {
		t.Fatalf("no token: %d %s", a.status, a.body)
	}
	return a.field("access_token")
}

// A token with a user is good for that user's requests and sessions, and for no other's.
func TestUserTokensAtTheSigningService(t *testing.T) {
	w := newWorld(t)
	alices, bobs := w.tokens(t, alice).field("access_token"), w.tokens(t, bob).field("access_token")
	payloads := gateway.Payloads("RS256", 1)
	asked := w.request(t, "acme", alices, alice, payloads...)
	if asked.status != http.StatusOK {
		t.Fatalf("alice's own: %d %s", asked.status, asked.body)
	}
	if a := w.request(t, "acme", bobs, alice, payloads...); a.status != http.StatusUnauthorized || a.field("code") != "access_token" ||
		!strings.Contains(a.field("message"), "a new token of the same user will not help") { // SIG-1.35
		t.Errorf("bob's token for a request of alice's: %d %s", a.status, a.body)
	}
	fetch := func(token string) answer {
		return newPerson(t).get(w.signing()+"/signatureresponse/"+asked.field("token"), "Authorization", "Bearer "+token)
	}
	if a := fetch(alices); a.field("code") != "not_opened" {
		t.Errorf("alice: %d %s", a.status, a.body)
	}
	if a := fetch(bobs); a.status != http.StatusNotFound || a.field("code") != "not_found" {
		t.Errorf("bob fetches alice's: %d %s", a.status, a.body)
	}
	if a := fetch(w.application(t, "acme")); a.field("code") != "not_opened" {
		t.Errorf("the application itself: %d %s", a.status, a.body)
	}
	page := w.page(t, newPerson(t), asked.field("redirectUri"))
	if a := page.call("/client/open", page.opening(), "Authorization", "Bearer "+bobs); a.status != http.StatusNotFound {
		t.Errorf("bob opens alice's: %d %s", a.status, a.body)
	}
	if a := page.call("/client/open", page.opening(), "Authorization", "Bearer "+alices); a.status != http.StatusOK {
		t.Errorf("alice opens hers: %d %s", a.status, a.body)
	}
	lower := w.tokensOf(t, "lower", carol)
	if a := w.request(t, "lower", lower, carol, payloads...); a.status != http.StatusForbidden || !strings.Contains(a.body, "aal3") {
		t.Errorf("a level too low: %d %s", a.status, a.body)
	}
	w.signs = "level aal2"
	w.Reload(w.caddyfile())
	if a := w.request(t, "lower", lower, carol, payloads...); a.status != http.StatusOK {
		t.Errorf("level aal2: %d %s", a.status, a.body)
	}
	w.signs = "user required"
	w.Reload(w.caddyfile())
	if a := w.request(t, "acme", w.application(t, "acme"), alice, payloads...); a.status != http.StatusForbidden {
		t.Errorf("no user where one is required: %d %s", a.status, a.body)
	}
	if a := w.request(t, "acme", alices, alice, gateway.Payloads("RS256", 2)...); a.status != http.StatusOK {
		t.Errorf("alice where a user is required, over two reloads: %d %s", a.status, a.body)
	}
}

// tokensOf is a token of another client, at another level.
func (w *world) tokensOf(t *testing.T, client, name string) string {
	t.Helper()
	code := w.code(t, newPerson(t), name, with(w.asked("s"), "client_id", client))
	a := w.post(t, with(w.redeeming(code), "client_id", client))
	if a.field("access_token") == "" {
		t.Fatalf("no token: %d %s", a.status, a.body)
	}
	return a.field("access_token")
}

// signingPage is the signing page in a person's browser, without its rendering.
type signingPage struct {
	*person
	base, query, csrf string
}

var csrfMeta = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)

func (w *world) page(t *testing.T, p *person, address string) *signingPage {
	t.Helper()
	page := &signingPage{person: p, base: w.signing()}
	_, page.query, _ = strings.Cut(address, "/client?")
	found := csrfMeta.FindStringSubmatch(p.get(address).body)
	if found == nil {
		t.Fatalf("no page at %s", address)
	}
	page.csrf = found[1]
	return page
}

func (p *signingPage) opening() string {
	values, _ := url.ParseQuery(p.query)
	text, _ := json.Marshal(map[string]string{"token": values.Get("token"), "query": p.query})
	return string(text)
}

func (p *signingPage) call(path, body string, headers ...string) answer {
	p.t.Helper()
	origin := strings.TrimSuffix(p.base, "/signing-service")
	return p.send("POST", p.base+path, body, append([]string{"Content-Type", "application/json", "Origin", origin, "X-CSRF-Token", p.csrf}, headers...)...)
}

// The page asks who is at it before it opens.
func TestSignInAtThePage(t *testing.T) {
	w := newWorld(t, func(w *world) { w.signs = "sign_in" })
	payloads := gateway.Payloads("RS256", 3)
	token := w.tokens(t, alice).field("access_token")
	ask := func() answer { return w.request(t, "acme", token, alice, payloads...) }
	asked := ask()
	p := newPerson(t)
	page := w.page(t, p, asked.field("redirectUri"))
	opened := page.call("/client/open", page.opening())
	if opened.status != http.StatusForbidden || opened.field("code") != "sign_in" || !strings.HasPrefix(opened.field("signInUri"), w.issuer) {
		t.Fatalf("%d %s", opened.status, opened.body)
	}
	back := p.signIn(w.issuer, opened.field("signInUri"), alice)
	if !strings.HasPrefix(back, w.signing()+"/client/signed-in?") {
		t.Fatalf("the provider sends the browser to %s", back)
	}
	if a := newPerson(t).get(back); a.status != 400 || a.field("code") != "sign_in_state" {
		t.Errorf("somebody else's browser: %d %s", a.status, a.body)
	}
	if to := p.get(back).location(t).String(); to != w.signing()+"/client?"+page.query {
		t.Fatalf("after the sign-in the browser goes to %s", to)
	}
	if a := p.get(back); a.status != 400 || a.field("code") != "sign_in_state" {
		t.Errorf("a second time: %d %s", a.status, a.body)
	}
	other := w.page(t, newPerson(t), asked.field("redirectUri"))
	if a := other.call("/client/open", other.opening()); a.field("code") != "sign_in" {
		t.Errorf("another browser after the sign-in: %d %s", a.status, a.body)
	}
	page = w.page(t, p, asked.field("redirectUri"))
	opened = page.call("/client/open", page.opening())
	if opened.status != http.StatusOK {
		t.Fatalf("%d %s", opened.status, opened.body)
	}
	id := opened.field("id")
	if a := page.call("/client/sign", `{"id":"`+id+`"}`); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if !gateway.Eventually(patience, func() bool { return p.get(w.signing()+"/client/session?id="+id).field("state") == "signed" }) {
		t.Fatal("it is not signed")
	}
	a := newPerson(t).get(w.signing()+"/signatureresponse/"+asked.field("token"), "Authorization", "Bearer "+token)
	var signed gateway.Signed
	if err := json.Unmarshal([]byte(a.body), &signed); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	signed.Verify(t, "RS256", payloads)

	t.Run("attacks", func(t *testing.T) { w.attackThePage(t, token) })
}

// attackThePage tries what could be brought back to the page in the place of the right answer.
func (w *world) attackThePage(t *testing.T, token string) {
	t.Helper()
	begin := func(p *person, asked answer) (*signingPage, string) {
		page := w.page(t, p, asked.field("redirectUri"))
		return page, page.call("/client/open", page.opening()).field("signInUri")
	}
	altered := func(back, name, value string) string {
		u, err := url.Parse(back)
		if err != nil {
			t.Fatal(err)
		}
		query := u.Query()
		query.Set(name, value)
		u.RawQuery = query.Encode()
		return u.String()
	}
	denied := func(what, why string, page *signingPage, to *url.URL) {
		t.Helper()
		page.turnedAway(what, why, to)
	}
	p := newPerson(t)
	asked := w.request(t, "acme", token, alice, gateway.Payloads("RS256", 1)...)
	page, address := begin(p, asked)
	back := p.signIn(w.issuer, address, alice)
	for what, a := range map[string]answer{
		"another state": p.get(altered(back, "state", challenge("x"))), "two states": p.get(back + "&state=x"), "no state": p.get(altered(back, "state", "")),
	} {
		if a.status != 400 || a.field("code") != "sign_in_state" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	denied("another issuer", "sign_in_failed", page, p.get(altered(back, "iss", "https://evil.example")).location(t))

	// Another sign-in's code, which another nonce and verifier belong to.
	page, address = begin(p, asked)
	other := newPerson(t)
	_, stolen := begin(other, asked)
	code := mustQuery(t, other.signIn(w.issuer, stolen, alice), "code")
	denied("a stolen code", "sign_in_failed", page, p.get(altered(p.signIn(w.issuer, address, alice), "code", code)).location(t))

	// The person of the request, by less than it takes.
	low := newPerson(t)
	carols := w.request(t, "acme", w.application(t, "acme"), carol, gateway.Payloads("RS256", 1)...)
	page, address = begin(low, carols)
	denied("a level too low", "insufficient_level", page, low.get(low.signIn(w.issuer, address, carol)).location(t))

	// A second browser's sign-in does not take the session from the first, which has opened it.
	first, second := newPerson(t), newPerson(t)
	page, address = begin(first, asked)
	_, late := begin(second, asked)
	first.get(first.signIn(w.issuer, address, alice)).location(t)
	opened := page.call("/client/open", page.opening())
	if opened.status != http.StatusOK {
		t.Fatalf("%d %s", opened.status, opened.body)
	}
	second.get(second.signIn(w.issuer, late, alice))
	if a := page.call("/client/sign", `{"id":"`+opened.field("id")+`"}`); a.status != http.StatusAccepted {
		t.Errorf("after a second browser's sign-in: %d %s", a.status, a.body)
	}
}

func mustQuery(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Query().Get(name) == "" {
		t.Fatalf("%s has no %s", address, name)
	}
	return u.Query().Get(name)
}

// A session that was opened before the page asked who is at it cannot be signed afterwards.
func TestSignInIsDemandedLater(t *testing.T) {
	w := newWorld(t)
	asked := w.request(t, "acme", w.tokens(t, alice).field("access_token"), alice, gateway.Payloads("RS256", 1)...)
	page := w.page(t, newPerson(t), asked.field("redirectUri"))
	opened := page.call("/client/open", page.opening())
	if opened.status != http.StatusOK {
		t.Fatalf("%d %s", opened.status, opened.body)
	}
	w.signs = "sign_in"
	w.Reload(w.caddyfile())
	if a := page.call("/client/sign", `{"id":"`+opened.field("id")+`"}`); a.status != http.StatusForbidden || a.field("code") != "sign_in" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
