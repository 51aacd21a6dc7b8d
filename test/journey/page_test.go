package journey_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// patience is how long a signing may take on a busy machine with the race detector.
const patience = 2 * time.Minute

// Looking at the page changes nothing: mail scanners and prefetching browsers do it (SIG-2.6).
func TestLookingAtThePageOpensNothing(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	accepted := w.request(t, s, "RS256", "e30=", gateway.Payloads("RS256", 1)...)
	scanner := gateway.Visit(t, accepted.RedirectURI)
	scanner.Load()
	if answer := scanner.Call(http.MethodHead, "?"+scanner.Query, nil); answer.Status != http.StatusOK {
		t.Errorf("HEAD: %d", answer.Status)
	}
	mustRefuse(t, s.Response(t, accepted.Token), refusal{400, "", "Signature request has not been downloaded yet"})
	if view := gateway.Visit(t, accepted.RedirectURI).SignToEnd(); view.State != "signed" {
		t.Errorf("after the scanner the person finds %q: %+v", view.State, view.Reason)
	}
}

// The page keeps to itself: no framing, no inline script, no cache, no referrer.
func TestThePageKeepsToItself(t *testing.T) {
	w := newWorld(t, options{})
	accepted := w.request(t, w.system("main"), "RS256", "e30=", gateway.Payloads("RS256", 1)...)
	answer := gateway.Visit(t, accepted.RedirectURI).Load()
	policy := answer.Header.Get("Content-Security-Policy")
	for _, want := range []string{"frame-ancestors 'none'", "default-src 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe-") {
		t.Errorf("the policy %q allows what is unsafe", policy)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if text := string(answer.Body); strings.Contains(text, accepted.Token) || strings.Contains(text, person) {
		t.Error("the page's text holds the token or the person; it comes from the session alone")
	}
	for _, cookie := range answer.Header.Values("Set-Cookie") {
		if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=") || strings.Contains(strings.ToLower(cookie), "domain=") {
			t.Errorf("a cookie that is not host-only, HttpOnly and SameSite: %s", cookie)
		}
	}
}

// What another site can make a browser send is refused, and changes nothing (SIG-2.7).
func TestAnotherSiteCannotAct(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	accepted := w.request(t, s, "RS256", "", gateway.Payloads("RS256", 1)...)
	other := gateway.Visit(t, accepted.RedirectURI)
	for name, forge := range map[string]func(*gateway.Browser){
		"no Origin":              func(b *gateway.Browser) { b.Origin = "" },
		"another Origin":         func(b *gateway.Browser) { b.Origin = "http://evil.example" },
		"Origin null":            func(b *gateway.Browser) { b.Origin = "null" },
		"another port":           func(b *gateway.Browser) { b.Origin = "http://localhost:1" },
		"https instead of http":  func(b *gateway.Browser) { b.Origin = strings.Replace(b.Origin, "http:", "https:", 1) },
		"no CSRF value":          func(b *gateway.Browser) { b.CSRF = "" },
		"another CSRF value":     func(b *gateway.Browser) { b.CSRF = strings.Repeat("A", len(b.CSRF)) },
		"another browser's CSRF": func(b *gateway.Browser) { b.CSRF = other.CSRF },
	} {
		t.Run(name, func(t *testing.T) {
			fresh := gateway.Visit(t, accepted.RedirectURI)
			forge(fresh)
			mustRefuse(t, fresh.TryOpen(), refusal{status: 403})
			mustRefuse(t, s.Response(t, accepted.Token), refusal{400, "", "Signature request has not been downloaded yet"})

			mine := w.request(t, s, "RS256", "", gateway.Payloads("RS256", 1)...)
			opened := gateway.Visit(t, mine.RedirectURI)
			opened.Open()
			origin, csrf := opened.Origin, opened.CSRF
			forge(opened)
			mustRefuse(t, opened.TrySign(), refusal{status: 403})
			mustRefuse(t, opened.Cancel(), refusal{status: 403})
			opened.Origin, opened.CSRF = origin, csrf
			if view := opened.View(); view.State != "opened" || view.Tries != 0 {
				t.Errorf("the session was changed: %+v", view)
			}
		})
	}
}

// One browser per session (SIG-2.7).
func TestASecondBrowserIsRefused(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	accepted := w.request(t, s, "RS256", "", gateway.Payloads("RS256", 1)...)
	first := gateway.Visit(t, accepted.RedirectURI)
	second := gateway.Visit(t, accepted.RedirectURI)
	first.Open()
	answer := second.TryOpen()
	if answer.Status/100 != 4 || !strings.Contains(answer.Failure(t).Message, "another browser") {
		t.Fatalf("the second browser: %d %s", answer.Status, answer.Body)
	}
	second.ID = first.ID // even if it knew it
	for name, answer := range map[string]gateway.Answer{
		"look":   second.Call(http.MethodGet, "/session?id="+second.ID, nil),
		"sign":   second.TrySign(),
		"cancel": second.Cancel(),
	} {
		if answer.Status/100 != 4 || strings.Contains(string(answer.Body), person) {
			t.Errorf("%s by the second browser: %d %s", name, answer.Status, answer.Body)
		}
	}
	if view := first.Open(); view.State != "opened" {
		t.Errorf("the first browser loads the page again and finds %q", view.State)
	}
	first.Sign()
	if view := first.Await("the end", patience, gateway.View.Over); view.State != "signed" {
		t.Errorf("the first browser ends %q", view.State)
	}
}

// mock=true uses the site's mock line; without one it is refused. A mock certificate counts only in such a
// session, or where no real way is configured (SIG-2.18, SIG-2.19).
func TestMock(t *testing.T) {
	w := newWorld(t, options{services: []service{
		{name: "main"},
		{name: "real", lines: "agent {agent}"},
		{name: "both", lines: "mock {agent}\n\t\t\tagent {agent}"},
	}})
	open := func(t *testing.T, service string, mock bool) *gateway.Browser {
		t.Helper()
		accepted := w.request(t, w.system(service), "RS256", "e30=", gateway.Payloads("RS256", 1)...)
		address := accepted.RedirectURI
		if mock {
			address += "&mock=true"
		}
		return gateway.Visit(t, address)
	}
	t.Run("appended to the address", func(t *testing.T) {
		view := open(t, "main", true).SignToEnd()
		if view.State != "signed" || !view.Mock || !strings.HasSuffix(view.Redirect, "&state=e30=") {
			t.Errorf("ended %+v, %+v", view, view.Reason)
		}
	})
	t.Run("without a mock line", func(t *testing.T) {
		mustRefuse(t, open(t, "real", true).TryOpen(), refusal{400, "mock", ""})
	})
	t.Run("a real way with a mock behind it", func(t *testing.T) {
		view := open(t, "real", false).SignToEnd()
		if view.State != "failed" || view.ReasonCode() != "certificate_untrusted" {
			t.Errorf("ended %+v, %+v", view, view.Reason)
		}
	})
	t.Run("beside a real way", func(t *testing.T) {
		if view := open(t, "both", true).SignToEnd(); view.State != "signed" {
			t.Errorf("with mock=true: %+v, %+v", view, view.Reason)
		}
		if view := open(t, "both", false).SignToEnd(); view.State != "failed" || view.ReasonCode() != "certificate_untrusted" {
			t.Errorf("without mock=true: %+v, %+v", view, view.Reason)
		}
	})
}
