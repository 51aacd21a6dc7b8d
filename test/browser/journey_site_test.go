package browser_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A client system on another site than the gateway: everything that depends on a browser's rules.
func TestClientOnAnotherSite(t *testing.T) {
	w := newWorld(t, service{name: "main", agent: "delay 60ms"}, service{name: "slow", agent: "delay 600ms"}, service{name: "hangs", agent: "fault hang"})

	t.Run("there and back", func(t *testing.T) {
		const state = "a+b/c==%20%2B~"
		w.site.to(w.link(t, "main", 2, state))
		b := newBrowser(t)
		b.goTo(w.site.URL)
		b.press("Sign at the gateway")
		b.waitHeading("Sign 2 items for Acme EPR")
		if address := eval[string](b, "location.href"); strings.Contains(address, "token") || strings.Contains(address, "state") {
			t.Errorf("the token stays in the address bar: %s", address)
		}
		if seen := eval[string](b, "document.cookie"); seen != "" {
			t.Errorf("a script can read the cookies: %s", seen)
		}
		if referrer := eval[string](b, "document.querySelector('meta[name=referrer]').content"); referrer != "no-referrer" {
			t.Errorf("referrer policy %q", referrer)
		}
		b.press("Sign 2 items for Acme EPR")
		b.waitHeading("Back at Acme EPR")
		query, cookies := w.site.last()
		if !strings.HasPrefix(query, "site=7&token=") || !strings.HasSuffix(query, "&state="+state) {
			t.Errorf("the client was called back with %s", query)
		}
		if cookies != "desk=7" {
			t.Errorf("the client's own cookies on the way back: %q", cookies)
		}
		if referrer := eval[string](b, "document.referrer"); referrer != "" {
			t.Errorf("the client is told where the browser was: %s", referrer)
		}
	})

	t.Run("a mail scanner looks first", func(t *testing.T) {
		link := w.link(t, "main", 1, "")
		for range 3 {
			look(t, http.MethodHead, link)
			look(t, http.MethodGet, link)
		}
		b := newBrowser(t)
		b.goTo(link)
		b.press("Sign 1 item for Acme EPR")
		b.waitHeading("Back at Acme EPR")
	})

	t.Run("opened elsewhere", func(t *testing.T) {
		link := w.link(t, "main", 1, "")
		first, second := newBrowser(t), newBrowser(t)
		first.goTo(link)
		first.waitHeading("Sign 1 item for Acme EPR")
		second.goTo(link)
		second.waitHeading("This request is open in another browser")
		second.accessible()
		id := strings.TrimPrefix(eval[string](first, "location.search"), "?session=")
		second.goTo(w.URL("GATEWAY", "/main/client?session="+id))
		second.waitHeading("This signing request cannot be found")
		second.accessible()

		sibling := first.newTab() // the same browser may look at it twice
		sibling.goTo(link)
		sibling.waitHeading("Sign 1 item for Acme EPR")
		first.press("Sign 1 item for Acme EPR")
		first.waitHeading("Back at Acme EPR")
		sibling.waitHeading("Back at Acme EPR")
	})

	t.Run("reloaded in the middle", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(w.link(t, "slow", 25, "")) // so that there is a middle for a quarter of a minute
		b.waitHeading("Sign 25 items for Acme EPR")
		b.do(chromedp.Reload())
		b.press("Sign 25 items for Acme EPR")
		b.waitHeading("Signing 25 items for Acme EPR")
		b.do(chromedp.Reload())
		b.waitHeading("Signing 25 items for Acme EPR")
		b.waitHeading("Back at Acme EPR")
	})

	t.Run("cancelled while it signs", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(w.link(t, "hangs", 4, "e30="))
		b.press("Sign 4 items for Acme EPR")
		b.waitText("2 of 4 signed")
		b.press("Cancel")
		b.press("Yes, cancel the request")
		b.waitHeading("You cancelled this request")
		b.accessible()
		b.press("Return to Acme EPR without signing")
		b.waitHeading("Back at Acme EPR")
		if query, _ := w.site.last(); !strings.Contains(query, "&state=e30=&error=access_denied") {
			t.Errorf("the client was called back with %s", query)
		}
	})

	t.Run("with the keyboard only", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(w.link(t, "main", 3, ""))
		b.waitHeading("Sign 3 items for Acme EPR")
		b.tabTo("The 3 items and their digests")
		b.keys(kb.Enter)
		b.waitText("rx-003")
		b.tabTo("Sign 3 items for Acme EPR")
		b.keys(kb.Enter)
		b.waitHeading("Back at Acme EPR")
	})

	t.Run("cannot be framed", func(t *testing.T) {
		w.site.to(w.link(t, "main", 1, ""))
		b := newBrowser(t)
		b.expectFault("frame-ancestors")
		b.expectFault("X-Frame-Options")
		b.goTo(w.site.URL + "/frame")
		b.waitUntil("the browser to refuse the frame", func() bool { return len(b.excused()) > 0 })
		b.goTo(w.site.to("")) // and the frame has opened nothing
		b.waitHeading("Sign 1 item for Acme EPR")
	})

	t.Run("another site cannot act for the person", func(t *testing.T) {
		link := w.link(t, "main", 1, "")
		base, query, _ := strings.Cut(link, "/client?")
		token := strings.TrimPrefix(query, "token=")
		thief := newBrowser(t)
		thief.expectFault("CORS")
		thief.goTo(link) // the browser has the page's cookie, but the request is not opened by looking …
		thief.waitHeading("Sign 1 item for Acme EPR")
		id := strings.TrimPrefix(eval[string](thief, "location.search"), "?session=")
		thief.goTo(w.site.URL)
		thief.waitHeading("Acme EPR")
		for _, attempt := range []struct{ path, body string }{
			{"open", fmt.Sprintf(`{"token":%q,"query":%q}`, token, query)},
			{"sign", fmt.Sprintf(`{"id":%q}`, id)},
			{"cancel", fmt.Sprintf(`{"id":%q}`, id)},
		} {
			eval[bool](thief, fmt.Sprintf(`fetch(%q, {method: "POST", mode: "no-cors", credentials: "include", body: %q}).then(() => true)`,
				base+"/client/"+attempt.path, attempt.body))
			refused := eval[bool](thief, fmt.Sprintf(`fetch(%q, {method: "POST", credentials: "include", headers: {"Content-Type": "application/json", "X-CSRF-Token": "x"}, body: %q}).then(() => false, () => true)`,
				base+"/client/"+attempt.path, attempt.body))
			if !refused {
				t.Errorf("another site may call %s", attempt.path)
			}
		}
		thief.goTo(base + "/client?session=" + id) // … and nothing has happened to it
		thief.waitHeading("Sign 1 item for Acme EPR")
	})
}

// look is a request by a scanner that keeps nothing and runs no script.
func look(t *testing.T, method, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s: %d, %v", method, response.StatusCode, err)
	}
}
