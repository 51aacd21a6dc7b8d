package browser_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/signing/page"
)

// fake is a service that speaks the page's wire and does what a test tells it, step by step.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	view    view
	refusal map[string]refusal // by the last word of the path; a refusal stays until it is taken back
	down    bool
	calls   []call
	held    chan struct{}            // until it is closed, nobody gets back to the client; nil: everybody does
	slow    map[string]chan struct{} // calls of a path are not looked at until it is closed
	shown   any                      // the answer to /client/display
}

// view is the page's picture of a session.
type view struct {
	ID          string  `json:"id"`
	State       string  `json:"state"`
	Client      string  `json:"client"`
	Sub         string  `json:"sub"`
	Algorithm   string  `json:"algorithm"`
	Mock        bool    `json:"mock"`
	Environment string  `json:"environment"`
	Total       int     `json:"total"`
	Signed      int     `json:"signed"`
	Marks       string  `json:"marks"`
	Items       []item  `json:"items,omitempty"`
	Expires     string  `json:"expires"`
	Tries       int     `json:"tries"`
	TriesLeft   int     `json:"triesLeft"`
	Reason      *reason `json:"reason,omitempty"`
	SignedOut   bool    `json:"signedOut,omitempty"`
	Local       bool    `json:"local,omitempty"`
	Declined    int     `json:"declined,omitempty"`
	Name        string  `json:"name,omitempty"`
	RedirectURI string  `json:"redirectUri,omitempty"`
	Autostart   bool    `json:"autostart"`
	Ways        []way   `json:"ways,omitempty"`
	Display     string  `json:"display,omitempty"`
	Order       *order  `json:"order,omitempty"`
}

type way struct {
	Local bool `json:"local"`
}

// order is what the page hands to an agent on the person's own machine.
type order struct {
	Job       string              `json:"job"`
	Algorithm string              `json:"algorithm"`
	Payloads  []map[string]string `json:"payloads"`
	Timeout   int                 `json:"timeout"`
}

type item struct {
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

type reason struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Text  string `json:"text"`
	Retry bool   `json:"retry"`
}

type refusal struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Code       string `json:"code"`
	RequestID  string `json:"requestId"`
	SignIn     string `json:"signInUri,omitempty"`

	Reason *reason `json:"reason,omitempty"`
	Wanted *wanted `json:"signIn,omitempty"`
}

// wanted is who is needed, and who came.
type wanted struct {
	Session string `json:"session"`
	Client  string `json:"client"`
	Sub     string `json:"sub,omitempty"`
	User    string `json:"user,omitempty"`
	Name    string `json:"name,omitempty"`
	Level   int    `json:"level,omitempty"`
	Least   int    `json:"least,omitempty"`
}

// call is what the page sent.
type call struct {
	Path string
	Body map[string]any
}

const csrf = "a-csrf-value"

func newFake(t *testing.T, total int) *fake {
	t.Helper()
	f := &fake{refusal: map[string]refusal{}, slow: map[string]chan struct{}{}, view: view{
		ID: "0b9d7e60-9f4e-4b0f-8f0e-0d9a3c1f2a55", State: "opened", Client: "Demo EPR", Sub: "555086689106", Algorithm: "RS256",
		Environment: "prod", Total: total, Marks: strings.Repeat(".", total), TriesLeft: 5,
		Expires: time.Now().Add(30 * time.Minute).Format(time.RFC3339),
	}}
	for i := range total {
		digest := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("digest of item %016d", i)))
		f.view.Items = append(f.view.Items, item{ID: fmt.Sprintf("7f1c2d3e-4a5b-4c6d-8e7f-%012d", i+1), Digest: digest})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /base/path/client", f.shell)
	mux.Handle("/base/path/page/", page.Assets())
	mux.HandleFunc("POST /base/path/client/browser", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"csrf": csrf})
	})
	mux.HandleFunc("POST /base/path/client/open", f.answer(func() {}))
	mux.HandleFunc("POST /base/path/client/sign", f.answer(func() {
		if f.view.State == "opened" {
			f.view.State, f.view.Reason = "signing", nil
			f.view.Tries++
		}
	}))
	mux.HandleFunc("POST /base/path/client/keep", f.answer(func() {}))
	mux.HandleFunc("POST /base/path/client/answer", f.answer(func() {
		code, failed := f.calls[len(f.calls)-1].Body["failure"].(string)
		switch {
		case f.view.State != "signing":
		case failed:
			f.view.State, f.view.Local = "opened", false
			f.view.Reason = &reason{Code: code, Title: "Not signed: " + code, Text: "Nothing was signed.", Retry: true}
		default:
			f.end("signed")
		}
	}))
	mux.HandleFunc("POST /base/path/client/cancel", f.answer(func() {
		if f.view.State != "signed" {
			f.end("cancelled")
		}
	}))
	mux.HandleFunc("POST /base/path/client/display", f.answer(func() {}))
	mux.HandleFunc("POST /base/path/client/looked", f.answer(func() {}))
	mux.HandleFunc("POST /base/path/client/decline", f.answer(func() {
		f.view.Reason = &reason{Code: "declined", Title: "You gave this request back", Text: "Nothing was signed."}
		f.view.Declined = len(f.calls[len(f.calls)-1].Body["declined"].([]any))
		f.end("cancelled")
	}))
	mux.HandleFunc("GET /base/path/client/session", f.answer(func() {}))
	mux.HandleFunc("GET /back", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		held := f.held
		f.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, `<!doctype html><html lang="en"><title>Client</title><link rel="icon" href="data:,"><h1>Back at the client</h1>`)
	})
	asked := make(chan struct{})
	mux.HandleFunc("GET /provider", func(_ http.ResponseWriter, r *http.Request) { // where people sign in; it never answers
		close(asked)
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /provider/asked", func(http.ResponseWriter, *http.Request) { <-asked })
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

// link is the redirectUri that a client would send the browser to.
func (f *fake) link(more string) string {
	return f.URL + "/base/path/client?token=f523a772-24f2-45d6-a8da-59b48de0231a" + more
}

// now changes the session, as the service would.
func (f *fake) now(change func(*view)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.view)
}

// sign lets n items be signed in all, from the last to the first, since an agent may answer in any order.
func (f *fake) sign(n int) {
	f.now(func(v *view) {
		v.Signed = n
		v.Marks = strings.Repeat(".", v.Total-n) + strings.Repeat("s", n)
	})
}

// end brings the session to an end, with the way back.
func (f *fake) end(state string) {
	f.view.State = state
	f.view.RedirectURI = f.URL + "/back?token=f523a772-24f2-45d6-a8da-59b48de0231a&state=e30="
}

// refuse answers a call with an error until it is told otherwise (status 0).
func (f *fake) refuse(path string, status int, code, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if status == 0 {
		delete(f.refusal, path)
		return
	}
	f.refusal[path] = refusal{StatusCode: status, Error: http.StatusText(status), Message: message, Code: code, RequestID: "5c1f0a52-req"}
	if code == "sign_in" {
		f.refusal[path] = refusal{StatusCode: status, Code: code, SignIn: f.URL + "/provider"}
	}
}

// turnAway refuses to open the page, for somebody has signed in who does not count.
func (f *fake) turnAway(why string, came wanted) {
	f.refuse("open", http.StatusForbidden, "sign_in", "")
	f.mu.Lock()
	defer f.mu.Unlock()
	came.Session, came.Client = f.view.ID, f.view.Client
	refused := f.refusal["open"]
	refused.Reason, refused.Wanted, refused.RequestID = &reason{Code: why, Text: "Nothing was signed."}, &came, "5c1f0a52-req"
	f.refusal["open"] = refused
}

// delay leaves the calls of a path alone until it is undone. What the page gives up meanwhile is done all the same, as
// the service does it.
func (f *fake) delay(path string) (undo func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gate := make(chan struct{})
	f.slow[path] = gate
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.slow, path)
		close(gate)
	})
}

// goDown breaks connections off without an answer, as a dead network does.
func (f *fake) goDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// hold keeps browsers from leaving the page for the client, so that it can be looked at until they may go.
func (f *fake) hold() (letGo func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := make(chan struct{})
	f.held = held
	return func() { close(held) }
}

// sent is what the page asked of one path.
func (f *fake) sent(path string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []call
	for _, c := range f.calls {
		if c.Path == path {
			found = append(found, c)
		}
	}
	return found
}

func (f *fake) shell(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	data := page.Data{CSRF: csrf, Environment: f.view.Environment, Local: slices.Contains(f.view.Ways, way{Local: true})}
	f.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", data.CSP())
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	_ = page.Render(w, data)
}

func (f *fake) answer(change func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.down {
			panic(http.ErrAbortHandler)
		}
		made := call{Path: path, Body: map[string]any{}}
		if r.Method == http.MethodPost {
			if r.Header.Get("X-CSRF-Token") != csrf || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Origin") != f.URL {
				http.Error(w, "not from the page", http.StatusTeapot)
				return
			}
			if err := json.NewDecoder(r.Body).Decode(&made.Body); err != nil {
				http.Error(w, err.Error(), http.StatusTeapot)
				return
			}
		}
		f.calls = append(f.calls, made)
		if gate := f.slow[path]; gate != nil {
			f.mu.Unlock()
			<-gate
			f.mu.Lock()
		}
		w.Header().Set("Content-Type", "application/json")
		if refused, ok := f.refusal[path]; ok {
			w.WriteHeader(refused.StatusCode)
			_ = json.NewEncoder(w).Encode(refused)
			return
		}
		change()
		if path == "looked" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if path == "display" {
			_ = json.NewEncoder(w).Encode(f.shown)
			return
		}
		shown := f.view
		if path != "open" || shown.SignedOut || slices.Contains([]string{"signed", "failed", "cancelled", "expired"}, shown.State) {
			shown.Items = nil
		}
		if path == "sign" && shown.State == "signing" && slices.Contains(shown.Ways, way{Local: true}) {
			shown.Order = &order{Job: "11111111-1111-4111-8111-111111111111", Algorithm: shown.Algorithm, Payloads: []map[string]string{}, Timeout: 60000}
		}
		_ = json.NewEncoder(w).Encode(shown)
	}
}
