package signing

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/cookies"
)

// provider is an OpenID provider at which whoever comes back with a code is the user of that name, of the level that
// comes along, or 3.
type provider struct {
	name  string
	began []begun
	out   bool // everybody has logged out
}

type begun struct {
	state, secret string
	fresh         bool
}

func (p *provider) Provider() string { return p.name }

func (p *provider) Begin(_ context.Context, _, state, secret string, fresh bool) (string, error) {
	p.began = append(p.began, begun{state, secret, fresh})
	return "https://" + p.name + "/authorize?state=" + state, nil
}

func (p *provider) Finish(_ context.Context, _, state, secret, user string, query url.Values) (SignedIn, error) {
	if query.Get("error") == "access_denied" {
		return SignedIn{}, ErrSignInDenied
	}
	if !slices.ContainsFunc(p.began, func(b begun) bool { return b.state == state && b.secret == secret }) || !query.Has("code") {
		return SignedIn{}, ErrSignIn
	}
	came := SignedIn{User: query.Get("code"), Name: query.Get("name"), Level: 3, Least: 3}
	if query.Has("level") {
		came.Level, _ = strconv.Atoi(query.Get("level"))
	}
	if came.User == user && came.Level >= came.Least {
		came.ID = "sign-in"
	}
	return came, nil
}

func (p *provider) Holds(context.Context, string) (bool, error) { return !p.out, nil }

// newSignInWorld is a service that has people sign in, and its provider.
func newSignInWorld(t *testing.T) (*world, *provider) {
	t.Helper()
	p := &provider{name: "op.example"}
	return newWorld(t, p.demanded), p
}

// demanded has a service's people sign in there.
func (p *provider) demanded(o *Options) { o.SignIn, o.SealSignIns = p, sealedWith(1) }

func sealedWith(b byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{b}, 32), nil }
}

// asked is a browser that was told to sign in.
func (w *world) asked(t *testing.T) (*browser, accepted) {
	t.Helper()
	w.clock.advance(time.Second)
	ticket := w.accept(w.jwt(RS256, 1), "?state=their")
	b := visit(t, w.Service, ticket.RedirectURI)
	mustRefuse(t, b.open(ticket.RedirectURI), refused{403, "sign_in", ""})
	return b, ticket
}

// back is the browser coming back from the provider.
func (b *browser) back(state, user string) *httptest.ResponseRecorder {
	return b.do(newPath("/client/signed-in?state=" + state + "&code=" + user))
}

// What the browser keeps of a sign-in tells it nothing, so it cannot derive nonce and verifier.
func TestASignInIsSealed(t *testing.T) {
	w, p := newSignInWorld(t)
	b, ticket := w.asked(t)
	kept := 0
	for name, cookie := range b.cookies {
		if name == hostCookie {
			continue
		}
		kept++
		if !strings.HasPrefix(name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" ||
			cookie.MaxAge != int(cookies.SignInLife/time.Second) {
			t.Errorf("the cookie is %v", cookie)
		}
		decoded, err := base64.RawURLEncoding.DecodeString(cookie.Value)
		if err != nil {
			t.Fatalf("%s: %v", cookie, err)
		}
		for what, secret := range map[string]string{"state": p.began[0].state, "secret": p.began[0].secret, "token": ticket.Token, "client's state": "their"} {
			if strings.Contains(cookie.String(), secret) || bytes.Contains(decoded, []byte(secret)) {
				t.Errorf("the browser can read the %s", what)
			}
		}
	}
	if kept != 1 {
		t.Errorf("cookies %v", b.cookies)
	}
	if back := b.back(p.began[0].state, person).Header().Get("Location"); back != baseURL+"/client?token="+ticket.Token+"&state=their" {
		t.Errorf("the browser goes on to %q", back)
	}
	mustBe(t, b.open(ticket.RedirectURI), 200)
	mustBe(t, b.sign(), http.StatusAccepted)
	mustRefuse(t, b.back(p.began[0].state, person), refused{400, "sign_in_state", ""})
}

// Two tabs can sign in at one time.
func TestTwoTabsSignIn(t *testing.T) {
	w, p := newSignInWorld(t)
	b, first := w.asked(t)
	w.clock.advance(time.Second)
	second := w.accept(w.jwt(RS256, 1), "")
	b.load(second.RedirectURI)
	mustRefuse(t, b.open(second.RedirectURI), refused{403, "sign_in", ""})
	for i, ticket := range []accepted{first, second} {
		mustBe(t, b.back(p.began[i].state, person), http.StatusSeeOther)
		mustBe(t, b.open(ticket.RedirectURI), 200)
	}
}

// A sign-in is taken up in the browser, at the site and with the provider that it began with, in time, and unchanged.
func TestASignInThatIsNotTheRightOne(t *testing.T) {
	w, p := newSignInWorld(t)
	b, ticket := w.asked(t)
	state := p.began[0].state
	right := maps.Clone(b.cookies)
	other, _ := w.asked(t)
	name := signInCookieName(t, state)
	with := func(change func(map[string]*http.Cookie)) *browser {
		made := *b
		made.cookies = maps.Clone(right)
		change(made.cookies)
		return &made
	}
	plain := base64.RawURLEncoding.EncodeToString([]byte(`{"state":"` + state + `","secret":"` + p.began[0].secret + `","query":"token=` + ticket.Token + `"}`))
	for what, from := range map[string]*browser{
		"no cookie":  with(func(c map[string]*http.Cookie) { delete(c, name) }),
		"not sealed": with(func(c map[string]*http.Cookie) { c[name] = &http.Cookie{Name: name, Value: plain} }),
		"of the past": with(func(c map[string]*http.Cookie) {
			c["countersign-sign-in"] = &http.Cookie{Name: "countersign-sign-in", Value: plain}
			delete(c, name)
		}),
		"another's": with(func(c map[string]*http.Cookie) {
			c[name] = &http.Cookie{Name: name, Value: other.cookies[signInCookieName(t, p.began[1].state)].Value}
		}),
		"cut off":     with(func(c map[string]*http.Cookie) { c[name] = &http.Cookie{Name: name, Value: c[name].Value[:40]} }),
		"two of them": with(func(c map[string]*http.Cookie) { c["x"] = &http.Cookie{Name: name, Value: plain} }),
		"without name": with(func(c map[string]*http.Cookie) {
			c[name] = &http.Cookie{Name: cookies.Name(&url.URL{}, strings.TrimPrefix(name, "__Host-")), Value: c[name].Value}
		}),
	} {
		t.Run(what, func(t *testing.T) { mustRefuse(t, from.back(state, person), refused{400, "sign_in_state", ""}) })
	}
	for what, change := range map[string]func(*Options){
		"another gateway": func(o *Options) { o.SignIn, o.SealSignIns = p, sealedWith(2) },
		"another provider": func(o *Options) {
			o.SignIn, o.SealSignIns = &provider{name: "other.example", began: p.began}, sealedWith(1)
		},
		"another site": func(o *Options) {
			o.SignIn, o.SealSignIns = p, sealedWith(1)
			o.BaseURL = func(*http.Request) (string, error) { return "https://gateway.example/other", nil }
		},
		"nobody signs in": func(*Options) {},
	} {
		t.Run(what, func(t *testing.T) {
			there := with(func(map[string]*http.Cookie) {})
			there.at = w.restart(change)
			mustRefuse(t, there.back(state, person), refused{400, "sign_in_state", ""})
		})
	}
	w.clock.advance(cookies.SignInLife)
	mustRefuse(t, with(func(map[string]*http.Cookie) {}).back(state, person), refused{400, "sign_in_state", ""})
	w.clock.advance(-2 * time.Second)
	mustBe(t, with(func(map[string]*http.Cookie) {}).back(state, person), http.StatusSeeOther)
}

// signInCookieName is the name of the cookie of a sign-in.
func signInCookieName(t *testing.T, state string) string {
	t.Helper()
	return "__Host-countersign-login-" + signInID(state)
}

// However many sign-ins a browser begins, what it keeps of them fits into a line that every proxy takes.
func TestSignInsInABrowserAreBounded(t *testing.T) {
	w, p := newSignInWorld(t)
	b, _ := w.asked(t)
	long := strings.Repeat("s", MaxState)
	for range 20 {
		w.clock.advance(time.Second)
		ticket := w.accept(w.jwt(RS256, 1), "?state="+long)
		b.load(ticket.RedirectURI)
		mustRefuse(t, b.open(ticket.RedirectURI), refused{403, "sign_in", ""})
		if size := b.cookieBytes(); size > 7<<10 {
			t.Fatalf("the browser sends %d bytes of cookies", size)
		}
	}
	mustBe(t, b.back(p.began[len(p.began)-1].state, person), http.StatusSeeOther)
}

// The key for sealing lies in the gateway's storage, which may be away.
func TestSignInsWithoutTheirKey(t *testing.T) {
	w, p := newSignInWorld(t)
	b, ticket := w.asked(t)
	seal := w.SealSignIns
	w.SealSignIns = func(context.Context) ([]byte, error) { return nil, errTest }
	mustRefuse(t, b.open(ticket.RedirectURI), refused{503, "unavailable", ""})
	mustRefuse(t, b.back(p.began[0].state, person), refused{503, "unavailable", ""})
	w.SealSignIns = seal
	mustBe(t, b.back(p.began[0].state, person), http.StatusSeeOther)
	if _, err := New(Options{SignIn: p, Store: w.store, Keys: w.Keys, Runner: w.jobs, BaseURL: w.BaseURL, Access: w.Access}); err == nil {
		t.Error("a service without a key for sealing was made")
	}
}

// The page is told the name of whoever has signed in to sign, while they are. The store has it only sealed for this browser.
func TestTheNameOfThePerson(t *testing.T) {
	w, p := newSignInWorld(t)
	b, ticket := w.asked(t)
	b.back(p.began[0].state, person+"&name=Dr+Tamsin+\u202eOkonjo")
	mustBe(t, b.open(ticket.RedirectURI), http.StatusOK)
	if b.view.Name != "Dr Tamsin Okonjo" {
		t.Errorf("the page is told %q", b.view.Name)
	}
	records, err := w.store.Get(t.Context(), sessionKey(b.view.ID))
	if err != nil || bytes.Contains(records[0].Value, []byte("Okonjo")) {
		t.Errorf("the store has the name, or fails: %v", err)
	}
	p.out = true
	b.watch()
	if b.view.Name != "" || !b.view.SignedOut {
		t.Errorf("signed out, the page is told %q", b.view.Name)
	}
}
