package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	pollEvery = 250 * time.Millisecond // the interval at which the service updates progress
	maxPage   = 1 << 20                // bytes of the page, and of a view with 250 items
)

// SessionError is the state of a session that was not signed.
type SessionError struct {
	State string // opened (it may be retried), failed, cancelled or expired
	Code  string // stable code of the reason; empty if there is none
	Title string // what went wrong, in a few words
	Text  string // what to do about it
}

func (e *SessionError) Error() string {
	if e.Title == "" {
		return "signing session is " + e.State
	}
	return fmt.Sprintf("signing session is %s: %s. %s", e.State, strings.TrimSuffix(e.Title, "."), e.Text)
}

// view is the state of a session as the page sees it.
type view struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Total  int    `json:"total"`
	Signed int    `json:"signed"`
	Reason *struct {
		Code  string `json:"code"`
		Title string `json:"title"`
		Text  string `json:"text"`
	} `json:"reason"`
	RedirectURI string `json:"redirectUri"`
}

// browser acts as one person's browser on the page of one session.
type browser struct {
	http   *http.Client // with a cookie jar
	page   *url.URL     // the redirectUri
	base   string       // of the service, without a trailing slash
	csrf   string       // taken from the page
	report func(done, total int)
}

// AsBrowser completes a request like the page does when it was opened with mock=true. It is for the command line and for
// tests, where nobody sees or presses anything, and works only if the service has a mock. redirectURI is that of the
// Ticket; httpClient may be nil; report is called with the progress and may be nil. AsBrowser returns the URL to which the
// browser would go next, the client's callback with token and state, but does not request it. If the session ends
// unsigned the error is a *SessionError, and the URL is returned too.
func AsBrowser(ctx context.Context, httpClient *http.Client, redirectURI string, report func(done, total int)) (string, error) {
	b, err := newBrowser(httpClient, redirectURI, report)
	if err != nil {
		return "", err
	}
	if err := b.load(ctx); err != nil {
		return "", err
	}
	v, err := b.open(ctx)
	if err != nil {
		return "", err
	}
	if v, err = b.sign(ctx, v); err != nil {
		return v.RedirectURI, err
	}
	return v.RedirectURI, nil
}

func newBrowser(httpClient *http.Client, redirectURI string, report func(done, total int)) (*browser, error) {
	page, err := url.Parse(redirectURI)
	if err != nil || page.Host == "" || !strings.HasSuffix(page.Path, "/client") {
		return nil, errors.New("redirectUri is not the address of a signing page")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := direct(httpClient)
	client.Jar = jar
	if report == nil {
		report = func(int, int) {}
	}
	if !strings.Contains("&"+page.RawQuery+"&", "&mock=true&") {
		page.RawQuery += "&mock=true"
	}
	base := page.Scheme + "://" + page.Host + strings.TrimSuffix(page.EscapedPath(), "/client")
	return &browser{http: client, page: page, base: base, report: report}, nil
}

// load fetches the page for its cookie and its CSRF value.
func (b *browser) load(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.page.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/html, application/json") // a refusal comes as JSON
	got, err := exchange(b.http, req, maxPage)
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return got.failure()
	}
	found := regexp.MustCompile(`<meta name="csrf" content="([^"]*)">`).FindSubmatch(got.body)
	if found == nil {
		return errors.New("the signing page has no CSRF value")
	}
	b.csrf = html.UnescapeString(string(found[1]))
	return nil
}

// open claims the session for this browser. Like the page it sends the whole query unmodified, because the query contains
// the client's state, which must not change by a byte.
func (b *browser) open(ctx context.Context) (view, error) {
	token := ""
	for pair := range strings.SplitSeq(b.page.RawQuery, "&") {
		if value, ok := strings.CutPrefix(pair, "token="); ok {
			token = value
			break
		}
	}
	return b.post(ctx, "/client/open", map[string]string{"token": token, "query": b.page.RawQuery})
}

// sign starts signing and polls until the session has ended.
func (b *browser) sign(ctx context.Context, opened view) (view, error) {
	v, err := b.post(ctx, "/client/sign?id="+url.QueryEscape(opened.ID), map[string]string{"id": opened.ID})
	if err != nil {
		return opened, err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		b.report(v.Signed, v.Total)
		if over, err := v.over(); over {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-tick.C:
		}
		next, err := b.get(ctx, "/client/session?id="+url.QueryEscape(opened.ID))
		if err != nil {
			return v, err
		}
		v = next
	}
}

// over reports whether the session has ended. If it was given back with a reason, it waits for a person to retry, and here
// is none.
func (v view) over() (bool, error) {
	switch {
	case v.State == "signed":
		return true, nil
	case v.State == "created", v.State == "signing", v.State == "opened" && (v.Reason == nil || v.Reason.Code == ""):
		return false, nil
	}
	end := &SessionError{State: cut(v.State, 32)}
	if v.Reason != nil {
		end.Code, end.Title, end.Text = cut(v.Reason.Code, 64), cut(v.Reason.Title, 200), cut(v.Reason.Text, 500)
	}
	return true, end
}

func (b *browser) post(ctx context.Context, path string, body any) (view, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return view{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.base+path, bytes.NewReader(encoded))
	if err != nil {
		return view{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-CSRF-Token", b.csrf)
	req.Header.Set("Origin", b.page.Scheme+"://"+b.page.Host)
	return b.view(req)
}

func (b *browser) get(ctx context.Context, path string) (view, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+path, nil)
	if err != nil {
		return view{}, err
	}
	return b.view(req)
}

func (b *browser) view(req *http.Request) (view, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	got, err := exchange(b.http, req, maxPage)
	if err != nil {
		return view{}, err
	}
	if got.status < 200 || got.status > 299 {
		return view{}, got.failure()
	}
	var v view
	if err := json.Unmarshal(got.body, &v); err != nil {
		return view{}, errors.New("signing page's answer is not the expected JSON")
	}
	return v, nil
}
