package signing

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var csrfMeta = regexp.MustCompile(`<meta name="csrf" content="([^"]*)">`)

// browser is one person's browser at the signing page.
type browser struct {
	testing.TB
	at      http.Handler
	cookies map[string]*http.Cookie
	csrf    string
	origin  string // of the page
	view    view   // the last that was told
}

// visit loads the page of a redirectUri, without doing anything there.
func visit(t testing.TB, at http.Handler, redirectURI string) *browser {
	t.Helper()
	b := &browser{TB: t, at: at, cookies: map[string]*http.Cookie{}, origin: origin}
	b.load(redirectURI)
	return b
}

func (b *browser) load(redirectURI string) {
	b.Helper()
	got := b.do(httptest.NewRequest(http.MethodGet, strings.TrimPrefix(redirectURI, baseURL), nil))
	found := csrfMeta.FindSubmatch(got.Body.Bytes())
	if got.Code != http.StatusOK || found == nil {
		b.Fatalf("the page: %d %s", got.Code, got.Body)
	}
	b.csrf = string(found[1])
}

// do sends a request with the browser's cookies, and keeps those of the answer.
func (b *browser) do(r *http.Request) *httptest.ResponseRecorder {
	for _, cookie := range b.cookies {
		r.AddCookie(cookie)
	}
	got := answer(b.at, r)
	for _, cookie := range got.Result().Cookies() {
		if b.cookies[cookie.Name] = cookie; cookie.MaxAge < 0 {
			delete(b.cookies, cookie.Name)
		}
	}
	return got
}

// request is a call of the page, as the page makes it.
func (b *browser) request(path string, body any) *http.Request {
	b.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(string(data)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-CSRF-Token", b.csrf)
	r.Header.Set("Origin", b.origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func (b *browser) call(path string, body any) *httptest.ResponseRecorder {
	b.Helper()
	got := b.do(b.request(path, body))
	if got.Code/100 == 2 {
		b.view = read[view](b, got)
	}
	return got
}

// open claims the session of a redirectUri.
func (b *browser) open(redirectURI string) *httptest.ResponseRecorder {
	b.Helper()
	u, err := url.Parse(redirectURI)
	if err != nil {
		b.Fatal(err)
	}
	token, _ := rawParameter(u.RawQuery, "token")
	return b.call("/client/open", map[string]string{"token": token, "query": u.RawQuery})
}

func (b *browser) sign() *httptest.ResponseRecorder {
	b.Helper()
	return b.call("/client/sign", map[string]string{"id": b.view.ID})
}

func (b *browser) cancel() *httptest.ResponseRecorder {
	b.Helper()
	return b.call("/client/cancel", map[string]string{"id": b.view.ID})
}

// watch asks how the session stands.
func (b *browser) watch() view {
	b.Helper()
	got := b.do(httptest.NewRequest(http.MethodGet, "/client/session?id="+b.view.ID, nil))
	if got.Code != http.StatusOK {
		b.Fatalf("the session: %d %s", got.Code, got.Body)
	}
	b.view = read[view](b, got)
	return b.view
}

// settled waits until no run is under way.
func (b *browser) settled() view {
	b.Helper()
	await(b, "the end of the run", func() bool { return b.watch().State != StateSigning })
	return b.view
}

// opened posts a request, and opens its page in a new browser.
func (w *world) opened(algorithm string, n int, query string) (*browser, accepted) {
	w.Helper()
	ticket := w.accept(w.jwt(algorithm, n), query)
	b := visit(w, w.Service, ticket.RedirectURI)
	mustBe(w, b.open(ticket.RedirectURI), http.StatusOK)
	return b, ticket
}

// ran lets a request of so many items be signed, and waits for what comes of it.
func (w *world) ran(algorithm string, n int) (view, accepted) {
	w.Helper()
	b, ticket := w.opened(algorithm, n, "")
	mustBe(w, b.sign(), http.StatusAccepted)
	return b.settled(), ticket
}

func mustBe(t testing.TB, got *httptest.ResponseRecorder, status int) {
	t.Helper()
	if got.Code != status {
		t.Fatalf("got %d %s, want %d", got.Code, got.Body, status)
	}
}

func newPath(path string) *http.Request { return httptest.NewRequest(http.MethodGet, path, nil) }

func newFetch(token string) *http.Request { return newPath("/signatureresponse/" + token) }

// sessionOf is the id under which a ticket's session is kept.
func sessionOf(t testing.TB, ticket accepted) string {
	t.Helper()
	token, err := tokenOf(ticket.Token)
	if err != nil {
		t.Fatal(err)
	}
	return sessionID(token)
}
