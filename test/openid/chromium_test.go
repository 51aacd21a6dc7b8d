package openid_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const patience = time.Minute // the machine may be busy; a test that passes never waits for it

// tab is a tab of Chromium, in a browser of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func newTab(t *testing.T) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(patience))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("Chromium does not start: ", err)
	}
	return &tab{t, ctx}
}

func (b *tab) goTo(address string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		b.t.Fatal(err)
	}
}

func eval[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (b *tab) waitFor(what, expression string) {
	b.t.Helper()
	var last error
	if gateway.Eventually(patience, func() (ok bool) {
		ok, last = eval[bool](b, "Boolean("+expression+")")
		return ok
	}) {
		return
	}
	seen, _ := eval[string](b, `location.href + "\n" + document.body.innerText`)
	b.t.Fatalf("%s: not within %s (%v); the page shows:\n%s", what, patience, last, seen)
}

func (b *tab) waitText(text string) {
	b.t.Helper()
	b.waitFor("text "+text, fmt.Sprintf("document.body?.innerText.includes(%q)", text))
}

// press clicks the button whose text begins so.
func (b *tab) press(name string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll("button, a")].find((e) => e.textContent.trim().startsWith(%q) && e.checkVisibility())`, name)
	b.waitFor("button "+name, find)
	if _, err := eval[bool](b, find+".click() || true"); err != nil {
		b.t.Fatal(err)
	}
}

// system is a client system with pages of its own, on another site than the gateway.
type system struct {
	*httptest.Server
	t        *testing.T
	w        *world
	payloads []gateway.Payload

	mu       sync.Mutex
	verifier string
	state    string
	token    string
	signed   gateway.Signed
}

func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := r.URL.Query()
	switch r.URL.Path {
	case "/start":
		s.verifier, s.state = rand.Text()+rand.Text(), rand.Text()
		http.Redirect(w, r, s.w.authorizeURL(url.Values{"client_id": {"acme"}, "redirect_uri": {s.URL + "/in"}, "response_type": {"code"}, "state": {s.state},
			"code_challenge": {challenge(s.verifier)}, "code_challenge_method": {"S256"}}), http.StatusSeeOther)
	case "/in":
		if query.Get("error") != "" || query.Get("state") != s.state {
			fmt.Fprintf(w, "Not signed in: %s", query.Get("error"))
			return
		}
		got := s.w.post(s.t, url.Values{"grant_type": {"authorization_code"}, "client_id": {"acme"}, "client_secret": {secret}, "redirect_uri": {s.URL + "/in"},
			"code": {query.Get("code")}, "code_verifier": {s.verifier}})
		s.token = got.field("access_token")
		asked := s.w.request(s.t, "acme", s.token, alice, s.payloads...)
		http.Redirect(w, r, asked.field("redirectUri"), http.StatusSeeOther)
	case "/signed":
		if query.Get("error") != "" {
			fmt.Fprintf(w, "Not signed: %s", query.Get("error"))
			return
		}
		a := newPerson(s.t).get(s.w.signing()+"/signatureresponse/"+query.Get("token"), "Authorization", "Bearer "+s.token)
		if err := json.Unmarshal([]byte(a.body), &s.signed); err != nil {
			s.t.Error(err)
		}
		fmt.Fprintf(w, "The system has %d signatures", len(s.signed.Signatures))
	}
}

// From the client system over the provider, back, to the signing page, over the provider again, to signed prescriptions.
func TestChromium(t *testing.T) {
	s := &system{t: t, payloads: gateway.Payloads("RS256", 3)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.w = newWorld(t, func(w *world) { w.signs, w.redirect, w.callback = "sign_in", s.URL+"/in", s.URL+"/signed" })
	b := newTab(t)
	b.goTo(s.URL + "/start")
	b.waitFor("the provider's form", `document.querySelector("input[name=login]")`)
	if _, err := eval[bool](b, fmt.Sprintf(`(document.querySelector("input[name=login]").value = %q) && true`, alice)); err != nil {
		t.Fatal(err)
	}
	b.press("Sign in")
	b.press("Sign 3 items for acme") // who is signed in at the provider is not asked again
	b.waitText("The system has 3 signatures")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed.Verify(t, "RS256", s.payloads)
}

// The example that the documentation shows, as it stands: the demo, with a made-up person who signs in.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(gateway.Root(t), "docs", "examples", "user-restricted.caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	ported := strings.NewReplacer("localhost:8080", "localhost:{$PORT_GATEWAY}", "localhost:8443", "localhost:{$PORT_AGENT}").Replace(string(text))
	g := gateway.Start(t, ported)
	g.MustNotLog(alice, "mock-secret", "demo-secret")

	t.Run("the right person", func(t *testing.T) {
		b := newTab(t)
		b.goTo(g.URL("GATEWAY", "/demo/"))
		b.press("Sign 3 prescriptions")
		b.waitText("MOCK sign-in")
		b.press("Dr Alice Made-Up")
		b.press("Sign 3 items for Demo EPR")
		b.waitText("verified")
	})
	for name, c := range map[string]struct{ who, page, ended, demo string }{
		"another person": {"Dr Bob Made-Up", "This request is for someone else", "Another person signed in", "not the person these prescriptions are for"},
		"nobody":         {"Refuse to sign in", "You have not signed in", "The sign-in was refused", "The sign-in was refused"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTab(t)
			b.goTo(g.URL("GATEWAY", "/demo/"))
			b.press("Sign 1 prescription")
			b.waitText("MOCK sign-in")
			b.press(c.who)
			b.waitText(c.page)
			b.press("Cancel")
			b.press("Yes, cancel the request")
			b.waitText(c.ended)
			b.press("Return to Demo EPR without signing")
			b.waitText(c.demo)
		})
	}
	t.Run("another person, and then the right one", func(t *testing.T) {
		b := newTab(t)
		b.goTo(g.URL("GATEWAY", "/demo/"))
		b.press("Sign 1 prescription")
		b.waitText("MOCK sign-in")
		b.press("Dr Bob Made-Up")
		b.waitText("This request is for someone else")
		b.waitText("Dr Bob Made-Up")
		b.press("Sign in as someone else")
		b.waitText("MOCK sign-in")
		b.press("Dr Alice Made-Up")
		b.press("Sign 1 item for Demo EPR")
		b.waitText("verified")
	})
	t.Run("tokens, and logging out at the mock", func(t *testing.T) {
		w := &world{Gateway: g, t: t, issuer: g.URL("GATEWAY", "/openid"), redirect: g.URL("GATEWAY", "/demo/signed-in")}
		p := newPerson(t)
		choose := func(address, who string) answer {
			page := p.get(address)
			action := regexp.MustCompile(`method="post" action="([^"]+)"`).FindStringSubmatch(page.body)
			if action == nil {
				t.Fatalf("no form at %s: %s", address, page.body)
			}
			return p.send("POST", html.UnescapeString(action[1]), url.Values{"username": {who}}.Encode())
		}
		query := with(w.asked("s"), "client_id", "demo-epr")
		callback := choose(p.get(w.authorizeURL(query)).location(t).String(), alice).location(t).String()
		code := p.get(callback).location(t).Query().Get("code")
		form := with(with(w.redeeming(code), "client_id", "demo-epr"), "client_secret", "demo-secret")
		got := w.post(t, form)
		token := got.field("access_token")
		info := func() answer { return p.get(w.base()+"/userinfo", "Authorization", "Bearer "+token) }
		if a := info(); a.status != http.StatusOK || a.field("name") != "Dr Alice Made-Up" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if a := choose(w.issuer+"/logout", alice); !strings.Contains(a.body, "logged out of 1 of 1 systems") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := info(); a.status != http.StatusUnauthorized {
			t.Errorf("after the logout: %d %s", a.status, a.body)
		}
	})
}
