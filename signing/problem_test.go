package signing

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// gone is a provider that does not answer when people come back.
type gone struct{ *provider }

func (gone) Finish(context.Context, string, string, string, string, url.Values) (SignedIn, error) {
	return SignedIn{}, errors.New("no route to the provider")
}

// A person whose browser is led to an address that has nothing for them gets a page: what happened, what next, and the
// way back where there is one. A program gets JSON from the same address.
func TestPeopleGetPages(t *testing.T) {
	p := &provider{name: "op.example"}
	w := newWorld(t, func(o *Options) {
		p.demanded(o)
		o.SignIn = gone{p}
	})
	b, ticket := w.asked(t)
	back := "/client/signed-in?code=x&state=" + p.began[0].state
	ask := func(path, accept string) *httptest.ResponseRecorder {
		t.Helper()
		r := newPath(path)
		r.Header.Set("Accept", accept)
		return b.do(r)
	}
	const browsers = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, c := range []struct {
		name, path    string
		status        int
		heading, link string
	}{
		{"the provider is away", back, http.StatusServiceUnavailable, "Signing is not possible at the moment", baseURL + "/client?token=" + ticket.Token},
		{"loaded again", back, http.StatusBadRequest, "This sign-in is over", ""},
		{"without a state", "/client/signed-in", http.StatusBadRequest, "This sign-in is over", ""},
		{"a mistyped address", "/clients", http.StatusNotFound, "There is no such page", ""},
		{"an address of the page's own", "/client/session?id=" + sessionID([16]byte{1}), http.StatusNotFound, "This signing request cannot be found", ""},
		{"one that takes only POST", "/client/open", http.StatusMethodNotAllowed, "Something went wrong", ""},
		{"the result", "/signatureresponse/none", http.StatusBadRequest, "Something went wrong", ""},
	} {
		got := ask(c.path, browsers)
		text := got.Body.String()
		if got.Code != c.status || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") || !strings.Contains(text, "<h1>"+c.heading+"</h1>") ||
			!strings.Contains(text, got.Header().Get("X-Request-Id")) || !strings.Contains(got.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: got %d %s\n%.900s", c.name, got.Code, got.Header(), text)
		}
		if strings.Contains(text, `class="button"`) != (c.link != "") || !strings.Contains(text, c.link) {
			t.Errorf("%s: the way back is not %q\n%s", c.name, c.link, text)
		}
		if c.path != back {
			for _, accept := range []string{"*/*", "", "application/json", "text/html, application/json"} {
				if got := ask(c.path, accept); got.Code != c.status || got.Header().Get("Content-Type") != "application/json" {
					t.Errorf("%s: a program that accepts %q got %d %s", c.name, accept, got.Code, got.Header().Get("Content-Type"))
				}
			}
		}
	}
}
