package signing

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/store"
)

// hostCookie is the one cookie of a browser on https.
const hostCookie = "__Host-countersign-page"

// cookieBytes is how much the browser sends along with a request to this host.
func (b *browser) cookieBytes() (size int) {
	for _, cookie := range b.cookies {
		size += len(cookie.Name) + 1 + len(cookie.Value) + len("; ")
	}
	return size
}

// However many sessions a browser opens, it has one cookie, and shows each of them again.
func TestOneCookieForAllSessions(t *testing.T) {
	w := newWorld(t, nil)
	b := visit(t, w.Service, w.accept(w.jwt(RS256, 1), "").RedirectURI)
	tokens := map[string]string{}
	for range 100 {
		w.clock.advance(time.Second)
		ticket := w.accept(w.jwt(RS256, 1), "")
		b.load(ticket.RedirectURI)
		mustBe(t, b.open(ticket.RedirectURI), 200)
		tokens[b.view.ID] = ticket.Token
	}
	cookie := b.cookies[hostCookie]
	if len(b.cookies) != 1 || cookie == nil || b.cookieBytes() > 1<<10 {
		t.Fatalf("%d cookies of %d bytes: %v", len(b.cookies), b.cookieBytes(), b.cookies)
	}
	if !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" || cookie.SameSite != http.SameSiteLaxMode ||
		time.Duration(cookie.MaxAge)*time.Second < w.Durations.Sign+w.Durations.Result {
		t.Errorf("the cookie is %v", cookie)
	}
	for id, token := range tokens {
		mustBe(t, b.call("/client/cancel", map[string]string{"id": id}), 200)
		if !strings.HasPrefix(b.view.RedirectURI, callback+"&token="+token+"&") {
			t.Fatalf("session %s leads back to %s, want token %s", id, b.view.RedirectURI, token)
		}
	}
}

// On plain http, which knows no such cookies, the name has no prefix.
func TestTheCookieOnPlainHTTP(t *testing.T) {
	const plain = "http://gateway.example/signing-service"
	w := newWorld(t, func(o *Options) { o.BaseURL = func(*http.Request) (string, error) { return plain, nil } })
	ticket := w.accept(sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "aud", plain)), "")
	b := visit(t, w.Service, strings.Replace(ticket.RedirectURI, plain, baseURL, 1))
	b.origin = "http://gateway.example"
	mustBe(t, b.open(ticket.RedirectURI), 200)
	cookie := b.cookies["countersign-page"]
	if len(b.cookies) != 1 || cookie == nil || cookie.Secure || cookie.Path != "/signing-service/client" || !cookie.HttpOnly {
		t.Errorf("cookies %v", b.cookies)
	}
}

// Another host of the domain can plant every cookie without the prefix, under any path. Whoever planted one and knows
// the token proves nothing with what he knows, also after the person has opened the session.
func TestAPlantedCookieProvesNothing(t *testing.T) {
	w := newWorld(t, nil)
	ticket := w.accept(w.jwt(RS256, 1), "")
	attacker := visit(t, w.Service, ticket.RedirectURI)
	var known string // a secret that the service gave the attacker
	for _, cookie := range attacker.cookies {
		known = cookie.Value
	}
	person := visit(t, w.Service, "/client")
	person.cookies = map[string]*http.Cookie{"countersign-page": {Name: "countersign-page", Value: known}}
	person.load(ticket.RedirectURI)
	mustBe(t, person.open(ticket.RedirectURI), 200)

	id := person.view.ID
	old := keyedHash(known, "claim "+id) // as releases before derived it
	attacker.cookies["countersign-page"] = &http.Cookie{Name: "countersign-page", Value: known}
	attacker.cookies[oldCookieName(id)] = &http.Cookie{Name: oldCookieName(id), Value: old + "." + ticket.Token}
	mustRefuse(t, attacker.open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
	attacker.view.ID = id
	mustRefuse(t, attacker.call("/client/open", map[string]string{"id": id}), refused{404, "not_found", ""})
	mustRefuse(t, attacker.sign(), refused{404, "not_found", ""})
	mustRefuse(t, attacker.cancel(), refused{404, "not_found", ""})
	mustRefuse(t, attacker.do(newPath("/client/session?id="+id)), refused{404, "not_found", ""})
	if seen := person.watch(); seen.State != StateOpened || seen.Tries != 0 {
		t.Errorf("the attacker made it %+v", seen)
	}

	// Two cookies of the right name cannot both be ours.
	r := person.request("/client/sign", map[string]string{"id": id})
	r.AddCookie(person.cookies[hostCookie])
	r.AddCookie(&http.Cookie{Name: hostCookie, Value: known})
	mustRefuse(t, answer(w.Service, r), refused{403, "csrf", ""})
	mustBe(t, person.sign(), http.StatusAccepted)
}

// Services with different base paths on one host share the cookie, and nothing that derives from it.
func TestClaimsAreBoundToTheSite(t *testing.T) {
	w := newWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	own, before := b.csrf, b.cookies[hostCookie].Value
	for _, public := range []string{"https://gateway.example/other", "https://gateway.example", "https://gateway.example/signing-service/"} {
		b.at = w.restart(func(o *Options) { o.BaseURL = func(*http.Request) (string, error) { return public, nil } })
		b.csrf = own
		mustRefuse(t, b.sign(), refused{403, "csrf", ""})
		b.load("/client")
		if b.cookies[hostCookie].Value != before || b.csrf == own {
			t.Errorf("%s: the cookie was replaced, or the CSRF value is the same", public)
		}
		mustRefuse(t, b.sign(), refused{404, "not_found", ""})
		mustRefuse(t, b.open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
	}
	b.at, b.csrf = w.Service, own
	mustBe(t, b.sign(), http.StatusAccepted)
}

// Two first tabs may be loaded at one time. A page that a browser loads sets no cookie, so none can come late; the
// script of each asks for it, one after another.
func TestTwoFirstTabs(t *testing.T) {
	w := newWorld(t, nil)
	load := func() {
		r := httptest.NewRequest(http.MethodGet, "/client", nil)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		got := answer(w.Service, r)
		if found := csrfMeta.FindStringSubmatch(got.Body.String()); got.Code != 200 || len(got.Result().Cookies()) > 0 || found == nil || found[1] != "" {
			t.Errorf("the first page: %d, cookies %v, CSRF %q", got.Code, got.Result().Cookies(), found)
		}
	}
	load()
	load()
	b := &browser{TB: t, at: w.Service, cookies: map[string]*http.Cookie{}, origin: origin}
	ask := func() string {
		got := b.do(b.request("/client/browser", nil))
		mustBe(t, got, 200)
		return read[browserView](t, got).CSRF
	}
	b.csrf = ask()
	ticket := w.accept(w.jwt(RS256, 1), "")
	mustBe(t, b.open(ticket.RedirectURI), 200)
	if again := ask(); again != b.csrf {
		t.Errorf("the second tab has CSRF value %q, want %q", again, b.csrf)
	}
	mustBe(t, b.sign(), http.StatusAccepted)

	r := b.request("/client/browser", nil)
	r.Header.Set("Origin", "https://evil.example")
	if got := answer(w.Service, r); len(got.Result().Cookies()) > 0 {
		t.Errorf("another site has a cookie set: %v", got.Result().Cookies())
	} else {
		mustRefuse(t, got, refused{403, "origin", ""})
	}
}

// oldBrowser is a browser that claimed a session at a release before the one cookie, and signed in there.
func oldBrowser(t *testing.T, w *world) (*browser, accepted) {
	t.Helper()
	w.clock.advance(time.Second)
	ticket := w.accept(w.jwt(RS256, 1), "")
	token := uuid.MustParse(ticket.Token)
	id, page := sessionID(token), strings.Repeat("p", 43)
	secret := keyedHash(page, "claim "+id)
	if _, err := w.sessions.change(t.Context(), id, func(current *session) ([]store.Op, error) {
		current.State, current.Browser = StateOpened, keyedHash(secret, "browser")
		current.Person, current.SignIn = keyedHash(page, "signed in "+id), "sign-in"
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	b := &browser{TB: t, at: w.Service, origin: origin, view: view{ID: id}, cookies: map[string]*http.Cookie{
		"countersign-page": {Name: "countersign-page", Value: page},
		oldCookieName(id):  {Name: oldCookieName(id), Value: secret + "." + ticket.Token},
	}}
	b.csrf = keyedHash(page, "csrf")
	return b, ticket
}

// A page that was open during the upgrade goes on watching, and signs once it is loaded again. The sign-in does not come
// along, for the old cookie may have been planted.
func TestSessionsOfTheReleaseBefore(t *testing.T) {
	w := newWorld(t, nil)
	for name, again := range map[string]func(*browser, accepted) *httptest.ResponseRecorder{
		"loaded again": func(b *browser, _ accepted) *httptest.ResponseRecorder {
			return b.call("/client/open", map[string]string{"id": b.view.ID})
		},
		"by the client's link": func(b *browser, ticket accepted) *httptest.ResponseRecorder { return b.open(ticket.RedirectURI) },
	} {
		t.Run(name, func(t *testing.T) {
			b, ticket := oldBrowser(t, w)
			id := b.view.ID
			thief := *b
			thief.cookies = map[string]*http.Cookie{oldCookieName(id): b.cookies[oldCookieName(id)]}
			if seen := b.watch(); seen.State != StateOpened {
				t.Errorf("polling, it is %s", seen.State)
			}
			mustRefuse(t, b.sign(), refused{403, "csrf", ""})
			b.load("/client?session=" + id)
			mustBe(t, again(b, ticket), 200)
			if b.cookies[oldCookieName(id)] != nil || b.cookies[hostCookie] == nil {
				t.Errorf("cookies %v", b.cookies)
			}
			found, _, err := w.sessions.get(t.Context(), id)
			if err != nil || found.Person != "" || found.SignIn != "" {
				t.Errorf("the sign-in came along: %+v, %v", found, err)
			}
			thief.load("/client")
			mustRefuse(t, thief.call("/client/open", map[string]string{"id": id}), refused{404, "not_found", ""})
			mustRefuse(t, thief.open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
			mustBe(t, b.cancel(), 200)
			if !strings.HasPrefix(b.view.RedirectURI, callback+"&token="+ticket.Token) {
				t.Errorf("it leads back to %s", b.view.RedirectURI)
			}
		})
	}
	b, ticket := oldBrowser(t, w)
	w.clock.advance(w.Durations.Sign)
	if seen := b.watch(); seen.State != StateExpired || !strings.HasPrefix(seen.RedirectURI, callback+"&token="+ticket.Token+"&error=request_expired") {
		t.Errorf("polling at its end, it is %+v", seen)
	}
}

// A session keeps its token for the browser that holds it, and shows it to nobody else who reads the store.
func TestTheTokenOfAClaimIsSealed(t *testing.T) {
	w := newWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	records, err := w.store.Get(t.Context(), sessionKey(b.view.ID))
	if err != nil {
		t.Fatal(err)
	}
	if kept := string(records[0].Value); strings.Contains(kept, ticket.Token) || strings.Contains(kept, b.cookies[hostCookie].Value) {
		t.Errorf("the store holds %s", kept)
	}
	found, _, err := w.sessions.get(t.Context(), b.view.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, held := range map[string]claim{"none": {}, "another": {secret: strings.Repeat("x", 43)}} {
		if token := held.token(found); token != "" {
			t.Errorf("%s opens it as %s", name, token)
		}
	}
	base, _ := url.Parse(baseURL)
	r := newPath("/client")
	r.AddCookie(b.cookies[hostCookie])
	if token := claimOn(r, base, b.view.ID).token(found); token != ticket.Token {
		t.Errorf("the claim opens it as %q, want %s", token, ticket.Token)
	}
}
