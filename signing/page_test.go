package signing

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

func TestThePageChangesNothing(t *testing.T) {
	w := newWorld(t, nil)
	ticket := w.accept(w.jwt(RS256, 1), "")
	w.store.fail(func([]string) error { return errTest }, func(store.Batch) error { return errTest })
	path := strings.TrimPrefix(ticket.RedirectURI, baseURL) + "&mock=true"
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		got := answer(w.Service, httptest.NewRequest(method, path, nil))
		h := got.Header()
		if got.Code != http.StatusOK || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "no-referrer" ||
			h.Get("Cache-Control") != "no-store" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %d %v", method, got.Code, h)
		}
		cookies := got.Result().Cookies()
		if len(cookies) != 1 || !cookies[0].HttpOnly || !cookies[0].Secure || cookies[0].SameSite != http.SameSiteLaxMode ||
			cookies[0].Domain != "" || cookies[0].Path != "/" || cookies[0].Name != "__Host-countersign-page" {
			t.Errorf("%s: cookies %v", method, cookies)
		}
		if strings.Contains(got.Body.String(), ticket.Token) || (method == http.MethodHead) != (got.Body.Len() == 0) {
			t.Errorf("%s: %d bytes, or the token is in them", method, got.Body.Len())
		}
	}
	w.store.fail(nil, nil)
	mustRefuse(t, w.fetch(ticket.Token), refused{400, "not_opened", "Signature request has not been downloaded yet"})
}

func TestThePageShowsWhoAsksAndWhat(t *testing.T) {
	w := newWorld(t, nil)
	b, _ := w.opened(RS256, 2, "?state=x")
	seen := b.view
	if seen.Client != "Acme EPR" || seen.Sub != person || seen.Total != 2 || seen.State != StateOpened || seen.Marks != ".." ||
		!seen.Mock || seen.Autostart || seen.RedirectURI != "" || seen.Environment != "int" || seen.TriesLeft != 5 ||
		!seen.Expires.Equal(w.clock.Now().Add(30*time.Minute)) {
		t.Errorf("the page is told %+v", seen)
	}
	if len(seen.Items) != 2 || seen.Items[1].ID != "rx-001" || seen.Items[1].Digest != digestOf(signedInfo(RS256, "rx-001")) {
		t.Errorf("items %+v", seen.Items)
	}
}

// What another site could make a browser do is refused, for each call that changes something (SIG-2.7).
func TestForgedCalls(t *testing.T) {
	w := newWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	for _, path := range []string{"/client/open", "/client/sign", "/client/cancel"} {
		body := map[string]string{"id": b.view.ID}
		for name, c := range map[string]struct {
			forge func(*http.Request)
			want  refused
		}{
			"no Origin":             {func(r *http.Request) { r.Header.Del("Origin") }, refused{403, "origin", ""}},
			"null Origin":           {func(r *http.Request) { r.Header.Set("Origin", "null") }, refused{403, "origin", ""}},
			"another Origin":        {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, refused{403, "origin", ""}},
			"Origin plain http":     {func(r *http.Request) { r.Header.Set("Origin", "http://gateway.example") }, refused{403, "origin", ""}},
			"another site":          {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, refused{403, "origin", ""}},
			"no CSRF value":         {func(r *http.Request) { r.Header.Del("X-CSRF-Token") }, refused{403, "csrf", ""}},
			"another CSRF value":    {func(r *http.Request) { r.Header.Set("X-CSRF-Token", b.csrf+"x") }, refused{403, "csrf", ""}},
			"no cookie":             {func(r *http.Request) { r.Header.Del("Cookie") }, refused{403, "csrf", ""}},
			"no cookie, odd value":  {func(r *http.Request) { r.Header.Del("Cookie"); r.Header.Set("X-CSRF-Token", "\x00") }, refused{403, "csrf", ""}},
			"no cookie, empty hash": {func(r *http.Request) { r.Header.Del("Cookie"); r.Header.Set("X-CSRF-Token", csrfOf("", &url.URL{})) }, refused{403, "csrf", ""}},
			"a form":                {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, refused{415, "content_type", ""}},
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				r := b.request(path, body)
				for _, cookie := range b.cookies {
					r.AddCookie(cookie)
				}
				c.forge(r)
				mustRefuse(t, answer(w.Service, r), c.want)
			})
		}
		mustRefuse(t, b.call(path, map[string]string{"id": strings.Repeat("x", maxCall)}), refused{413, "too_large", ""})
		mustRefuse(t, b.call(path, map[string]string{"other": "x"}), refused{400, "malformed", ""})
		mustRefuse(t, b.call(path, []string{}), refused{400, "malformed", ""})
	}
	if seen := b.watch(); seen.State != StateOpened {
		t.Errorf("forged calls made it %s", seen.State)
	}
	mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_signed", ""})
}

func TestOriginOf(t *testing.T) {
	for base, want := range map[string]string{
		"https://gateway.example/x":     "https://gateway.example",
		"https://Gateway.Example:443/x": "https://gateway.example",
		"http://localhost:80":           "http://localhost",
		"http://localhost:8080":         "http://localhost:8080",
		"https://[::1]:8443":            "https://[::1]:8443",
		"http://localhost:443":          "http://localhost:443",
	} {
		w := newWorld(t, func(o *Options) {
			o.BaseURL = func(*http.Request) (string, error) { return base, nil }
		})
		parsed, err := w.parsedBase(httptest.NewRequest(http.MethodGet, "/", nil))
		if err != nil || originOf(parsed) != want {
			t.Errorf("%s: %s, %v", base, originOf(parsed), err)
		}
	}
}

// One browser holds a session. Another is told so only if it has the token; without, a session of others and one
// that is not look the same.
func TestOneBrowserASession(t *testing.T) {
	w := newWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	other := visit(t, w.Service, ticket.RedirectURI)
	mustRefuse(t, other.open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
	for _, id := range []string{b.view.ID, strings.Repeat("0", 32), "", strings.Repeat("x", 9000), "a/../b", b.view.ID + "x"} {
		other.view.ID = id
		answers := map[string]*httptest.ResponseRecorder{
			"sign":   other.sign(),
			"cancel": other.cancel(),
			"watch":  other.do(httptest.NewRequest(http.MethodGet, "/client/session?id="+id, nil)),
		}
		if id != "" {
			answers["open"] = other.call("/client/open", map[string]string{"id": id})
		}
		for name, got := range answers {
			t.Run(name, func(t *testing.T) {
				mustRefuse(t, got, refused{404, "not_found", "No signature request for specified token"})
			})
		}
	}
	mustRefuse(t, other.open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
	if seen := b.watch(); seen.State != StateOpened || seen.Tries != 0 {
		t.Errorf("another browser made it %+v", seen)
	}
}

func TestOpening(t *testing.T) {
	w := newWorld(t, nil)
	ticket := w.accept(w.jwt(RS256, 1), "")
	b := visit(t, w.Service, ticket.RedirectURI)
	for name, token := range map[string]string{
		"unknown": "f523a772-24f2-45d6-a8da-59b48de0231a", "malformed": "x", "in braces": "{" + ticket.Token + "}", "none": "",
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(t, b.call("/client/open", map[string]string{"token": token, "query": "token=" + token}), refused{404, "not_found", ""})
		})
	}
	mustRefuse(t, b.open(ticket.RedirectURI+"&state="+strings.Repeat("s", MaxState+1)), refused{400, "state", ""})
	mustBe(t, b.open(ticket.RedirectURI), 200)
	id := b.view.ID
	mustBe(t, b.open(ticket.RedirectURI), 200)
	mustBe(t, b.call("/client/open", map[string]string{"id": id}), 200)
	if b.view.ID != id || len(b.view.Items) != 1 || b.view.State != StateOpened {
		t.Errorf("opened again it is %+v", b.view)
	}
}

// The answer to a claim can be lost. The same browser claims again, and holds the session; meanwhile nobody else
// could.
func TestOpeningAfterALostAnswer(t *testing.T) {
	w := newWorld(t, nil)
	ticket := w.accept(w.jwt(RS256, 1), "")
	b := visit(t, w.Service, ticket.RedirectURI)
	mustBe(t, b.open(ticket.RedirectURI), 200)
	b.view = view{}
	mustRefuse(t, visit(t, w.Service, ticket.RedirectURI).open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
	mustBe(t, b.open(ticket.RedirectURI), 200)
	mustBe(t, b.sign(), http.StatusAccepted)
}

func TestAnExpiredSessionCanBeLookedAt(t *testing.T) {
	w := newWorld(t, nil)
	ticket := w.accept(w.jwt(RS256, 1), "")
	w.clock.advance(30 * time.Minute)
	b := visit(t, w.Service, ticket.RedirectURI)
	mustBe(t, b.open(ticket.RedirectURI), 200)
	if b.view.State != StateExpired || b.view.Reason.Code != reasonExpired || !strings.HasPrefix(b.view.RedirectURI, callback+"&token="+ticket.Token+"&error=request_expired") {
		t.Errorf("the page is told %+v", b.view)
	}
	mustBe(t, b.cancel(), 200)
	mustBe(t, b.sign(), http.StatusAccepted)
	if seen := b.watch(); seen.State != StateExpired || w.agent.asked() != 0 {
		t.Errorf("it became %s", seen.State)
	}
	// Only to those who have its token.
	stranger := visit(t, w.Service, ticket.RedirectURI)
	stranger.view.ID = b.view.ID
	mustRefuse(t, stranger.cancel(), refused{404, "not_found", ""})
	mustRefuse(t, stranger.sign(), refused{404, "not_found", ""})
}

func TestMockByQuery(t *testing.T) {
	w := newWorld(t, nil)
	ticket := w.accept(w.jwt(RS256, 1), "?state=x")
	address := ticket.RedirectURI + "&mock=true"
	b := visit(t, w.Service, address)
	mustBe(t, b.open(address), 200)
	if !b.view.Mock || !b.view.Autostart {
		t.Errorf("the page is told %+v", b.view)
	}
	real := newFakeAgent(t)
	w.Service = w.restart(func(o *Options) { o.Mock, o.Agents = nil, []Route{{Name: "real", Agent: real}} })
	w.clock.advance(time.Second)
	ticket = w.accept(w.jwt(RS256, 1), "")
	none := visit(t, w.Service, ticket.RedirectURI)
	mustRefuse(t, none.open(ticket.RedirectURI+"&mock=true"), refused{400, "mock", ""})
	mustBe(t, none.open(ticket.RedirectURI), 200)
	if none.view.Mock || none.view.Autostart {
		t.Errorf("without mock=true the page is told %+v", none.view)
	}
	// The session that was opened for the mock does not go to a real card, although there is no mock any more.
	b.at = w.Service
	mustBe(t, b.sign(), http.StatusAccepted)
	if b.view.State != StateOpened || b.view.Reason == nil || b.view.Reason.Code != reasonNoAgent || b.view.Autostart || real.asked() != 0 {
		t.Errorf("it is %+v", b.view)
	}
}

func TestPagesCallsWhileTheStoreIsAway(t *testing.T) {
	w := newWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	want := refused{503, "unavailable", ""}
	w.store.fail(func([]string) error { return away() }, nil)
	mustRefuse(t, b.open(ticket.RedirectURI), want)
	mustRefuse(t, b.sign(), want)
	mustRefuse(t, b.cancel(), want)
	mustRefuse(t, b.do(httptest.NewRequest(http.MethodGet, "/client/session?id="+b.view.ID, nil)), want)
	mustRefuse(t, w.fetch(ticket.Token), want)
	w.store.fail(nil, func(store.Batch) error { return away() })
	mustRefuse(t, b.sign(), want)
	mustRefuse(t, b.cancel(), want)
	w.store.fail(nil, nil)
	if seen := b.watch(); seen.State != StateOpened || seen.Tries != 0 {
		t.Errorf("it became %+v", seen)
	}
}

func TestEndpoints(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		method, path, allow string
		status              int
	}{
		{"GET", "/signaturerequest", "POST", 405},
		{"POST", "/client", "GET, HEAD", 405},
		{"GET", "/client/sign", "POST", 405},
		{"GET", "/client/open", "POST", 405},
		{"GET", "/client/cancel", "POST", 405},
		{"POST", "/client/session", "GET", 405},
		{"POST", "/signatureresponse/x", "GET", 405},
		{"DELETE", "/_ping", "GET, HEAD", 405},
		{"GET", "/", "", 404},
		{"GET", "/signaturerequest/", "", 404},
		{"GET", "/jwks.json", "", 404},
	} {
		got := answer(w.Service, httptest.NewRequest(c.method, c.path, nil))
		if got.Code != c.status || got.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q", c.method, c.path, got.Code, got.Header().Get("Allow"))
		}
		read[failed](t, got)
	}
	got := answer(w.Service, httptest.NewRequest(http.MethodGet, "/page/app.js", nil))
	if got.Code != 200 || got.Header().Get("Cache-Control") != "no-cache" || got.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("the script: %d %v", got.Code, got.Header())
	}
	r := httptest.NewRequest(http.MethodGet, "/_ping", nil)
	r.Header.Set("X-Request-Id", "a\nb")
	r.Header.Set("X-Correlation-Id", strings.Repeat("c", 129))
	got = answer(w.Service, r)
	if id := got.Header().Get("X-Request-Id"); len(id) != 36 || got.Header().Get("X-Correlation-Id") != "" {
		t.Errorf("ids that cannot be echoed: %v", got.Header())
	}
}
