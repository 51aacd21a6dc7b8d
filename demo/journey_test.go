package demo

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestJourney(t *testing.T) {
	s := newSite(t, Options{})
	status, page := s.get(t, "/demo/")
	expect(t, page, "Sign 1 prescription<", "Sign 3 prescriptions", "Sign 25 prescriptions", "Sign 250 prescriptions",
		"made-up people", `value="555086689106"`, `value="RS256" checked`, "Complete without a click (mock=true)")
	if status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	for _, c := range []struct {
		size      int
		algorithm string
		mock      bool
	}{{1, "RS256", false}, {3, "RS1", true}, {250, "RS256", false}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			status, page := s.press(t, func(form url.Values, _ http.Header) {
				form.Set("count", fmt.Sprint(c.size))
				form.Set("algorithm", c.algorithm)
				if c.mock {
					form.Set("mock", "true")
				}
			})
			if status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			expect(t, page,
				fmt.Sprintf(`data-verified="%d" data-total="%d">%d of %d signatures verified<`, c.size, c.size, c.size, c.size),
				"CN=555086689106_MOCK,L=Mock \\&lt;card\\&gt;", "<dd>"+c.algorithm+"</dd>", "RSA, 2048 bits", "NHS number 999 ")
			if n := strings.Count(page, ">Verified<"); n != c.size {
				t.Errorf("got %d rows with Verified", n)
			}
			if strings.Contains(page, "must not be used") || strings.Contains(page, "Not verified") {
				t.Error("a valid batch is shown as invalid")
			}
			s.service.with(func() {
				if got := strings.HasSuffix(s.service.opened, "&mock=true"); got != c.mock {
					t.Errorf("the signing page got the query %q", s.service.opened)
				}
			})
		})
	}
	// A batch may be looked at again, and from another tab while others are under way.
	for _, way := range s.service.ways() {
		_, page := s.get(t, "/demo/signed?"+way.Encode())
		expect(t, page, "signatures verified")
	}
}

func TestSignedPageCountsWhatHolds(t *testing.T) {
	s := newSite(t, Options{})
	for name, c := range map[string]struct {
		change func(*answer)
		want   []string
	}{
		"two swapped": {func(a *answer) {
			g := a.Signatures
			g[0].Signature, g[1].Signature = g[1].Signature, g[0].Signature
		}, []string{`data-verified="1" data-total="3"`, "Not verified: signature does not verify", "must not be used"}},
		"one missing":     {func(a *answer) { a.Signatures = a.Signatures[1:] }, []string{`data-verified="0" data-total="3"`, "must not be used"}},
		"one too many":    {func(a *answer) { a.Signatures = append(a.Signatures, a.Signatures[0]) }, []string{`data-verified="3"`, "must not be used", "are not right"}},
		"no certificate":  {func(a *answer) { a.Certificate = "" }, []string{`data-verified="0"`, "must not be used", "cannot be read", "Not verified: it was not checked"}},
		"other's answers": {func(a *answer) { a.Signatures[2].Signature = "AAAA" }, []string{`data-verified="2"`, "must not be used"}},
	} {
		s.service.with(func() { s.service.change = c.change })
		_, page := s.press(t, nil)
		t.Log(name)
		expect(t, page, c.want...)
	}
}

func TestSendsTheSameJWTAgainAfterALostAnswer(t *testing.T) {
	s := newSite(t, Options{})
	s.service.with(func() { s.service.drop = 1 })
	_, page := s.press(t, nil)
	expect(t, page, "3 of 3 signatures verified")
	s.service.with(func() {
		if jwts := s.service.jwts; len(jwts) != 2 || jwts[0] != jwts[1] || len(s.service.sessions) != 1 {
			t.Errorf("got %d requests, %d sessions", len(jwts), len(s.service.sessions))
		}
		s.service.drop, s.service.jwts = 3, nil
	})
	status, page := s.press(t, nil)
	expect(t, page, "The Signing Service did not answer", "Try again")
	if n := s.service.sent(); n != 2 || status != http.StatusBadGateway {
		t.Errorf("got %d requests, status %d", n, status)
	}
}

func TestShowsTheServicesErrors(t *testing.T) {
	s := newSite(t, Options{})
	for path, title := range map[string]string{
		"/signaturerequest":   "The Signing Service did not take the request",
		"/signatureresponse/": "The signatures could not be fetched",
	} {
		refuse := func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, path) {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"statusCode":400,"error":"Bad Request","message":"\"iat\" is <required>","code":"claims","requestId":"r-17"}`)
			return true
		}
		s.service.with(func() { s.service.refuse = refuse })
		status, page := s.press(t, nil)
		expect(t, page, title, "&#34;iat&#34; is &lt;required&gt;", "<code>claims</code>", "<code>r-17</code>", "<dd>400</dd>")
		if status != http.StatusBadGateway {
			t.Errorf("status %d", status)
		}
	}
}

func TestWayBackWithAnError(t *testing.T) {
	s := newSite(t, Options{})
	for code, words := range map[string]string{
		"access_denied":   "You cancelled signing.",
		"request_expired": "not signed in time",
		"server_error":    "did not pass",
		"<b>new</b>":      "could not complete",
	} {
		fail := func(back url.Values) {
			back.Set("error", code)
			back.Set("error_description", "cancelled_by_person\n<i>"+strings.Repeat("x", 300))
		}
		s.service.with(func() { s.service.back = fail })
		status, page := s.press(t, nil)
		expect(t, page, "The prescriptions are not signed", words, "cancelled_by_person&lt;i&gt;", "Try again")
		if status != http.StatusOK || strings.Contains(page, "<i>") || strings.Contains(page, strings.Repeat("x", 250)) || strings.Contains(page, `id="summary"`) {
			t.Errorf("status %d: %s", status, page)
		}
	}
}

// TestWayBackWithAReason: whoever did not sign in as the right person did not cancel, and is not told that they did.
func TestWayBackWithAReason(t *testing.T) {
	s := newSite(t, Options{})
	for _, c := range []struct{ code, reason, words string }{
		{"access_denied", "wrong_user", "not the person these prescriptions are for"},
		{"access_denied", "insufficient_level", "not strong enough"},
		{"access_denied", "access_denied", "The sign-in was refused"},
		{"access_denied", "sign_in_failed", "The sign-in did not work"},
		{"access_denied", "cancelled_by_person", "You cancelled signing."},
		{"declined", "declined", "You found something wrong"},
		{"request_expired", "expired", "not signed in time"},
		{"request_expired", "wrong_user", "not the person these prescriptions are for"},
		{"server_error", "<i>new</i>", "did not pass"},
	} {
		s.service.with(func() {
			s.service.back = func(back url.Values) {
				back.Set("error", c.code)
				back.Set("error_description", "what OAuth has")
				back.Set("error_reason", c.reason)
			}
		})
		_, page := s.press(t, nil)
		expect(t, page, "The prescriptions are not signed", c.words, html.EscapeString(c.reason))
		if c.reason != "cancelled_by_person" && strings.Contains(page, "You cancelled") || strings.Contains(page, "<i>new") {
			t.Errorf("%s, %s: %s", c.code, c.reason, page)
		}
	}
}

// TestWayBackIsBound: only the browser that left, with the state it left with, gets its batch shown.
func TestWayBackIsBound(t *testing.T) {
	now := time.Now()
	s := newSite(t, Options{Now: func() time.Time { return now }})
	_, page := s.press(t, nil)
	expect(t, page, "3 of 3 signatures verified")
	way := s.service.ways()[0]
	token, state := way.Get("token"), way.Get("state")
	unknown := func(name, path string) {
		t.Helper()
		if status, page := s.get(t, path); status != http.StatusNotFound || !strings.Contains(page, "does not know this request") {
			t.Errorf("%s: %d %s", name, status, page)
		}
	}
	good := "/demo/signed?token=" + token + "&state=" + state
	unknown("no state", "/demo/signed?token="+token)
	unknown("no token", "/demo/signed?state="+state)
	unknown("another token", "/demo/signed?token=f523a772-24f2-45d6-a8da-59b48de0231a&state="+state)
	unknown("another state", "/demo/signed?token="+token+"&state="+state[:42]+"x")
	unknown("an error for no one", "/demo/signed?token="+token+"&state=x&error=access_denied")
	known := s.browser
	s.browser = newBrowser(t)
	unknown("another browser", good)
	s.browser = known
	if status, _ := s.get(t, good); status != http.StatusOK {
		t.Errorf("the right browser: %d", status)
	}
	now = now.Add(batchLife)
	unknown("an hour later", good)
}
