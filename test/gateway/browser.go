package gateway

import (
	"bytes"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Browser is a person's browser at the signing page, without its rendering: the page's own calls, with its
// cookies. Origin and CSRF may be changed to see what is refused.
type Browser struct {
	Origin string
	CSRF   string
	ID     string // of the session, once opened
	Token  string // of the session, as the page's address has it
	Query  string // the page's raw query

	t    testing.TB
	base string
	http *http.Client
}

// View is what the page is told of the session.
type View struct {
	ID        string   `json:"id"`
	State     string   `json:"state"`
	Client    string   `json:"client"`
	Sub       string   `json:"sub"`
	Algorithm string   `json:"algorithm"`
	Mock      bool     `json:"mock"`
	Total     int      `json:"total"`
	Signed    int      `json:"signed"`
	Marks     string   `json:"marks"`
	Tries     int      `json:"tries"`
	TriesLeft int      `json:"triesLeft"`
	Reason    *Reason  `json:"reason"`
	Redirect  string   `json:"redirectUri"`
	Items     []ViewID `json:"items"`
}

// ViewID is one item as the page shows it.
type ViewID struct {
	ID string `json:"id"`
}

// Reason is why a session is not signed.
type Reason struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Text  string `json:"text"`
	Retry bool   `json:"retry"`
}

// Over says that nothing will change any more.
func (v View) Over() bool {
	return v.State == "signed" || v.State == "failed" || v.State == "cancelled" || v.State == "expired"
}

// ReasonCode is the reason's code, or nothing.
func (v View) ReasonCode() string {
	if v.Reason == nil {
		return ""
	}
	return v.Reason.Code
}

// At is the same browser, cookies and all, with its calls going to another address of the same service: to another
// node, as a load balancer would have it.
func (b *Browser) At(base string) *Browser {
	moved := *b
	moved.base = base
	return &moved
}

// Unjudged is the same browser, but what it is answered is not held to the description: to measure, not to test.
func (b *Browser) Unjudged() *Browser {
	unjudged, client := *b, *b.http
	client.Transport = client.Transport.(described).next
	unjudged.http = &client
	return &unjudged
}

var csrfMeta = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)

// Visit loads the signing page in a fresh browser, as a redirect to address would.
func Visit(t testing.TB, address string) *Browser {
	t.Helper()
	return VisitBy(t, nil, address)
}

// VisitBy is Visit by a transport that knows the way to the address; nil: every transport does.
func VisitBy(t testing.TB, transport http.RoundTripper, address string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := newHTTP()
	client.Jar = jar
	if transport != nil {
		client.Transport = Described(transport)
	}
	base, query, _ := strings.Cut(address, "/client?")
	b := &Browser{t: t, base: base, http: client, Origin: originOf(base), Query: query}
	for pair := range strings.SplitSeq(query, "&") {
		if token, ok := strings.CutPrefix(pair, "token="); ok {
			b.Token = token
		}
	}
	b.Load()
	return b
}

// Cookies are what the browser sends to the page's own calls.
func (b *Browser) Cookies() []*http.Cookie {
	address, err := url.Parse(b.base + "/client/open")
	if err != nil {
		b.t.Fatal(err)
	}
	return b.http.Jar.Cookies(address)
}

// Load loads the page (again) and takes its CSRF value.
func (b *Browser) Load() Answer {
	b.t.Helper()
	answer := b.Call(http.MethodGet, "?"+b.Query, nil)
	if answer.Status != http.StatusOK {
		b.t.Fatalf("the page was answered %d: %s", answer.Status, answer.Body)
	}
	found := csrfMeta.FindSubmatch(answer.Body)
	if found == nil {
		b.t.Fatalf("the page has no CSRF value: %.600s", answer.Body)
	}
	b.CSRF = string(found[1])
	return answer
}

// Call is any call of the page: path follows <base>/client, body is marshalled.
func (b *Browser) Call(method, path string, body any) Answer {
	b.t.Helper()
	answer, err := b.TryCall(method, path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

// TryCall is Call where the gateway may be gone.
func (b *Browser) TryCall(method, path string, body any) (Answer, error) {
	var content []byte
	if body != nil {
		content = mustJSON(b.t, body)
	}
	request, err := http.NewRequest(method, b.base+"/client"+path, bytes.NewReader(content))
	if err != nil {
		return Answer{}, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
		if b.Origin != "" {
			request.Header.Set("Origin", b.Origin)
		}
		if b.CSRF != "" {
			request.Header.Set("X-CSRF-Token", b.CSRF)
		}
	}
	return try(b.http, request)
}

// TryOpen claims the session for this browser.
func (b *Browser) TryOpen() Answer {
	b.t.Helper()
	return b.Call(http.MethodPost, "/open", map[string]string{"token": b.Token, "query": b.Query})
}

// Open claims the session for this browser, or the test ends.
func (b *Browser) Open() View {
	b.t.Helper()
	view := b.view(b.TryOpen())
	b.ID = view.ID
	return view
}

// TrySign asks the card to sign.
func (b *Browser) TrySign() Answer {
	b.t.Helper()
	return b.Call(http.MethodPost, "/sign", map[string]string{"id": b.ID})
}

// Sign starts signing, or the test ends.
func (b *Browser) Sign() {
	b.t.Helper()
	if answer := b.TrySign(); answer.Status != http.StatusAccepted {
		b.t.Fatalf("signing was answered %d: %s", answer.Status, answer.Body)
	}
}

// Cancel gives the request up.
func (b *Browser) Cancel() Answer {
	b.t.Helper()
	return b.Call(http.MethodPost, "/cancel", map[string]string{"id": b.ID})
}

// View is where the session stands.
func (b *Browser) View() View {
	b.t.Helper()
	return b.view(b.Call(http.MethodGet, "/session?id="+b.ID, nil))
}

// Await polls until the session is as wanted, or the test ends.
func (b *Browser) Await(what string, limit time.Duration, wanted func(View) bool) View {
	b.t.Helper()
	var v View
	if !Eventually(limit, func() bool { v = b.View(); return wanted(v) }) {
		b.t.Fatalf("waited %s for %s; the session is %q, reason %+v", limit, what, v.State, v.Reason)
	}
	return v
}

// SignToEnd opens, signs and waits until the session is over or has come back to be tried again.
func (b *Browser) SignToEnd() View {
	b.t.Helper()
	b.Open()
	b.Sign()
	return b.Await("the signing to end", patience, func(v View) bool { return v.State != "signing" })
}

func (b *Browser) view(answer Answer) View {
	b.t.Helper()
	if answer.Status != http.StatusOK {
		b.t.Fatalf("the page's call was answered %d: %s", answer.Status, answer.Body)
	}
	var v View
	answer.JSON(b.t, &v)
	return v
}
