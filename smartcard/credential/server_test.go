package credential

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

const page = "https://sign.example.nhs.uk"

// card signs by prefixing "signed", or does what the test says.
type card struct {
	holder string
	err    error
	begun  chan struct{}
}

func (c *card) Holder(context.Context) (string, error) { return c.holder, c.err }

func (c *card) Health(context.Context) (smartcard.Health, error) { return smartcard.Health{}, nil }

func (c *card) Sign(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
	if c.begun != nil {
		close(c.begun)
		<-ctx.Done()
		return ctx.Err()
	}
	if err := out.Certificate([]byte("of " + job.Sub)); err != nil {
		return err
	}
	for _, p := range job.Payloads {
		if err := out.Signature(p.ID, append([]byte(job.Algorithm+" "), p.Payload...)); err != nil {
			return err
		}
	}
	return nil
}

// browser is a page that calls the agent.
type browser struct {
	*testing.T
	server *httptest.Server
	origin string
	token  string
}

func newBrowser(t *testing.T, signer smartcard.Signer, users ...string) *browser {
	t.Helper()
	s, err := New(Options{Signer: signer, Origins: []string{page}, Users: users})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return &browser{T: t, server: server, origin: page}
}

func (b *browser) do(method, path, body string, change func(*http.Request)) (*http.Response, string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Origin", b.origin)
	if change != nil {
		change(r)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		b.Fatal(err)
	}
	return got, string(text)
}

func (b *browser) hub(verb, method, body string) (*http.Response, string) {
	b.Helper()
	query := url.Values{"transport": {"longPolling"}, "clientProtocol": {"1.5"}, "connectionToken": {b.token}}
	return b.do(method, "/signalr/"+verb+"?"+query.Encode(), body, nil)
}

// connect negotiates and opens a connection.
func (b *browser) connect() {
	b.Helper()
	got, text := b.hub("negotiate", "GET", "")
	var agreed negotiated
	if err := json.Unmarshal([]byte(text), &agreed); err != nil || got.StatusCode != 200 || agreed.ConnectionToken == "" {
		b.Fatalf("negotiate: got status %d, body %s, error %v", got.StatusCode, text, err)
	}
	b.token = agreed.ConnectionToken
	for _, verb := range []string{"connect", "start"} {
		if got, text := b.hub(verb, "GET", ""); got.StatusCode != 200 {
			b.Fatalf("%s: got status %d, body %s", verb, got.StatusCode, text)
		}
	}
}

// ask sends a signing request and returns the outcome.
func (b *browser) ask(argument string) outcome {
	b.Helper()
	data := fmt.Sprintf(`{"H":"signinghub","M":"requestToSign","A":[%q],"I":0}`, argument)
	got, text := b.hub("send", "POST", url.Values{"data": {data}}.Encode())
	var reply struct {
		R outcome
		I int
	}
	if err := json.Unmarshal([]byte(text), &reply); err != nil || got.StatusCode != 200 {
		b.Fatalf("send: got status %d, body %s, error %v", got.StatusCode, text, err)
	}
	return reply.R
}

func argument(items int) string {
	a := asked{Algorithm: smartcard.RS256, RequestType: 1, Version: 1}
	for i := range items {
		a.Payloads = append(a.Payloads, smartcard.Payload{ID: fmt.Sprint(i), Payload: fmt.Append(nil, "payload ", i)})
	}
	text, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

func TestSigns(t *testing.T) {
	b := newBrowser(t, &card{holder: "555086689106"})
	got, text := b.do("GET", "/PRS/GetPortNumber", "", nil)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(b.server.URL, "http://"))
	if got.StatusCode != 200 || text != `{"portData":{"portNumber":`+port+`}}` {
		t.Errorf("port: got status %d, body %s", got.StatusCode, text)
	}
	if got.Header.Get("Access-Control-Allow-Origin") != page || got.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("a page cannot read the port: got headers %v", got.Header)
	}
	if _, text := b.do("GET", "/PRS/ConnectPRService", "", nil); text != `{"statusCode":200}` {
		t.Errorf("an older page got %s", text)
	}
	b.connect()
	done := b.ask(argument(250))
	if fmt.Sprint(done.StatusCode) != "0" || len(done.Signatures) != 250 || string(done.Signatures[249].Signature) != "RS256 payload 249" {
		t.Errorf("got status %v, %d signatures", done.StatusCode, len(done.Signatures))
	}
	if want := base64.StdEncoding.EncodeToString([]byte("of 555086689106")); done.Certificate != want {
		t.Errorf("got certificate %s", done.Certificate)
	}
	if got, _ := b.hub("abort", "POST", ""); got.StatusCode != 200 {
		t.Errorf("abort: got status %d", got.StatusCode)
	}
	if got, _ := b.hub("start", "GET", ""); got.StatusCode != 400 {
		t.Errorf("after abort: got status %d", got.StatusCode)
	}
}

func TestDoesNotSign(t *testing.T) {
	for name, c := range map[string]struct {
		card     card
		users    []string
		argument string
		code     string
	}{
		"no card":            {card{err: &smartcard.Error{Code: smartcard.CodeNoCard}}, nil, argument(1), codeNoCard},
		"another's card":     {card{holder: "111111111111"}, []string{"555*"}, argument(1), codeNoCard},
		"several cards":      {card{err: &smartcard.Error{Code: smartcard.CodeRefused}}, nil, argument(1), smartcard.CodeRefused},
		"not base64":         {card{holder: "1"}, nil, "!", codeBadJSON},
		"not JSON":           {card{holder: "1"}, nil, "QUJD", codeBadJSON},
		"nothing":            {card{holder: "1"}, nil, argument(0), codeBadJSON},
		"too many":           {card{holder: "1"}, nil, argument(251), smartcard.CodeRefused},
		"a JWT in its place": {card{holder: "1"}, nil, "eyJhbGciOiJSUzUxMiJ9.e30.AAAA", codeBadJSON},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, &c.card, c.users...)
			b.connect()
			if got := b.ask(c.argument); fmt.Sprint(got.StatusCode) != c.code || len(got.Signatures) != 0 || got.Certificate != "" {
				t.Errorf("got %+v, want %s", got, c.code)
			}
		})
	}
}

// Nobody else gets anything, and a refused page learns only that it may not ask.
func TestStrangers(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"another origin":              func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"an origin that begins alike": func(r *http.Request) { r.Header.Set("Origin", page+".evil.example") },
		"no origin":                   func(r *http.Request) { r.Header.Del("Origin") },
		"the null origin":             func(r *http.Request) { r.Header.Set("Origin", "null") },
		"another name":                func(r *http.Request) { r.Host = "rebound.example:43487" },
		"a name without a port":       func(r *http.Request) { r.Host = "localhost" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, &card{holder: "1"})
			for _, path := range []string{"/PRS/GetPortNumber", "/signalr/negotiate"} {
				got, _ := b.do("GET", path, "", change)
				if got.StatusCode != 403 || got.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s: got status %d, headers %v", path, got.StatusCode, got.Header)
				}
			}
		})
	}
	t.Run("from another machine", func(t *testing.T) {
		s, err := New(Options{Signer: &card{holder: "1"}, Origins: []string{page}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "http://localhost:43487/PRS/GetPortNumber", nil)
		r.Header.Set("Origin", page)
		r.RemoteAddr = "192.0.2.7:5000"
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 43487})))
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != 403 {
			t.Errorf("%d", w.Code)
		}
	})
}

// A connection belongs to its origin.
func TestConnectionOfAnotherPage(t *testing.T) {
	s, err := New(Options{Signer: &card{holder: "1"}, Origins: []string{page, "https://other.example"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	b := &browser{T: t, server: server, origin: page}
	b.connect()
	b.origin = "https://other.example"
	if got, _ := b.hub("start", "GET", ""); got.StatusCode != 400 {
		t.Errorf("another page's connection: got status %d", got.StatusCode)
	}
}

func TestPreflight(t *testing.T) {
	b := newBrowser(t, &card{holder: "1"})
	got, _ := b.do("OPTIONS", "/signalr/send", "", func(r *http.Request) { r.Header.Set("Access-Control-Request-Private-Network", "true") })
	h := got.Header
	if got.StatusCode != 204 || h.Get("Access-Control-Allow-Methods") == "" || h.Get("Access-Control-Allow-Private-Network") != "true" {
		t.Errorf("got status %d, headers %v", got.StatusCode, h)
	}
}

// A page that aborts its connection, because it was cancelled, stops the card.
func TestAbortStops(t *testing.T) {
	c := &card{holder: "1", begun: make(chan struct{})}
	b := newBrowser(t, c)
	b.connect()
	done := make(chan outcome)
	go func() { done <- b.ask(argument(1)) }()
	<-c.begun
	b.hub("abort", "POST", "")
	select {
	case got := <-done:
		if fmt.Sprint(got.StatusCode) != smartcard.CodeCancelled {
			t.Errorf("%+v", got)
		}
	case <-time.After(time.Minute):
		t.Error("the card did not stop")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	b := newBrowser(t, &card{holder: "1"})
	for range maxConnections {
		b.connect()
	}
	if got, _ := b.hub("negotiate", "GET", ""); got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("one more connection: got status %d", got.StatusCode)
	}
}

func FuzzReadAsked(f *testing.F) {
	f.Add(argument(2))
	f.Fuzz(func(t *testing.T, text string) {
		if job, err := readAsked(text); err == nil && len(job.Payloads) == 0 {
			t.Error("an empty argument was parsed as a request")
		}
	})
}
