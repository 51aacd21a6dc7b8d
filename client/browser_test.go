package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// page is a small signing page: the requests it expects, and its answers.
type page struct {
	*httptest.Server
	mu    sync.Mutex
	polls []string // the views returned to polls, in order; the last one stays
}

const backURL = "http://client.test/signed?token=t1&state=e30="

func newPage(t *testing.T, polls ...string) *page {
	t.Helper()
	p := &page{polls: polls}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /s/client", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "token=t1&state=e30%3D&mock=true" {
			t.Errorf("page was opened with query %q", r.URL.RawQuery)
		}
		http.SetCookie(w, &http.Cookie{Name: "browser", Value: "b1", Path: "/s/", HttpOnly: true})
		_, _ = io.WriteString(w, `<!doctype html><head><meta name="csrf" content="a&#34;b"></head>`)
	})
	post := func(want map[string]string, answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var got map[string]string
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			if id := r.URL.Query().Get("id"); id != want["id"] {
				t.Errorf("%s: the query has the id %q, want %q, as the body", r.URL.Path, id, want["id"])
			}
			for name, value := range want {
				if got[name] != value {
					t.Errorf("%s: got %s %v, want %v", r.URL.Path, name, got[name], value)
				}
			}
			cookie, err := r.Cookie("browser")
			if err != nil || cookie.Value != "b1" || r.Header.Get("X-CSRF-Token") != `a"b` || r.Header.Get("Origin") != p.URL ||
				r.Header.Get("Content-Type") != "application/json" {
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, `{"message":"not this browser","code":"csrf","requestId":"r"}`)
				return
			}
			_, _ = io.WriteString(w, answer)
		}
	}
	mux.HandleFunc("POST /s/client/open", post(map[string]string{"token": "t1", "query": "token=t1&state=e30%3D&mock=true"}, `{"id":"v 1","state":"opened","total":2}`))
	mux.HandleFunc("POST /s/client/sign", post(map[string]string{"id": "v 1"}, `{"id":"v 1","state":"signing","total":2}`))
	mux.HandleFunc("GET /s/client/session", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("browser"); err != nil || r.URL.Query().Get("id") != "v 1" {
			t.Errorf("got unexpected poll of %s (%v)", r.URL, err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		_, _ = io.WriteString(w, p.polls[0])
		if len(p.polls) > 1 {
			p.polls = p.polls[1:]
		}
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *page) redirect() string { return p.URL + "/s/client?token=t1&state=e30%3D" }

func TestAsBrowserSigns(t *testing.T) {
	p := newPage(t,
		`{"state":"signing","total":2,"signed":1}`,
		`{"state":"signed","total":2,"signed":2,"redirectUri":"`+backURL+`"}`)
	var seen []string
	back, err := AsBrowser(t.Context(), p.Client(), p.redirect(), func(done, total int) {
		seen = append(seen, fmt.Sprintf("%d/%d", done, total))
	})
	if err != nil || back != backURL {
		t.Errorf("got %q, %v", back, err)
	}
	if want := []string{"0/2", "1/2", "2/2"}; !slices.Equal(seen, want) {
		t.Errorf("got progress %v, want %v", seen, want)
	}
	if p.Client().Jar != nil {
		t.Error("the caller's client has a cookie jar, want it unchanged")
	}
}

func TestAsBrowserSaysHowItEnded(t *testing.T) {
	for _, c := range []struct{ name, view, state, code string }{
		{"failed", `{"state":"failed","redirectUri":"` + backURL + `","reason":{"code":"signature_invalid","title":"A signature was not right","text":"Tell.","retry":false}}`, "failed", "signature_invalid"},
		{"given back", `{"state":"opened","redirectUri":"` + backURL + `","reason":{"code":"no_card","title":"No smartcard","text":"Put it in.","retry":true}}`, "opened", "no_card"},
		{"expired", `{"state":"expired","redirectUri":"` + backURL + `","reason":null}`, "expired", ""},
		{"a state of the future", `{"state":"parked","redirectUri":"` + backURL + `"}`, "parked", ""},
	} {
		p := newPage(t, c.view)
		back, err := AsBrowser(t.Context(), nil, p.redirect(), nil)
		var end *SessionError
		if !errors.As(err, &end) || end.State != c.state || end.Code != c.code || back != backURL {
			t.Errorf("%s: got %q, %v", c.name, back, err)
		}
	}
}

func TestAsBrowserMeetsErrors(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no page":           answer(http.StatusNotFound, `{"message":"gone","code":"token"}`),
		"a page without it": answer(http.StatusOK, `<html>`),
		"a redirect":        answer(http.StatusFound, ``),
	} {
		server := httptest.NewServer(handler)
		if _, err := AsBrowser(t.Context(), nil, server.URL+"/client?token=t1", nil); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
		server.Close()
	}
	for _, address := range []string{"", "/client?token=t", "http://h/other", "::"} {
		if _, err := AsBrowser(t.Context(), nil, address, nil); err == nil {
			t.Errorf("address %q: got no error, want one", address)
		}
	}
	// The session's endpoints answer with the service's errors too.
	p := newPage(t, `no JSON`)
	if _, err := AsBrowser(t.Context(), nil, p.redirect(), nil); err == nil || !strings.Contains(err.Error(), "JSON") {
		t.Errorf("%v", err)
	}
}
