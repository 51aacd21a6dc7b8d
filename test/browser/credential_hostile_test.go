package browser_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
)

// liar is an agent on the person's machine that speaks Credential Management's wire, but for one thing.
type liar struct {
	origin, port string
	mu           sync.Mutex
	verb         string // where it lies; the others are answered as they should be
	lie          http.HandlerFunc
	asked        map[string]int // by verb
}

// newLiar starts one for the pages of an origin, at a port of Credential Management's that is held for it.
func newLiar(t *testing.T, origin string, port int) *liar {
	t.Helper()
	l := &liar{origin: origin, port: strconv.Itoa(port), asked: map[string]int{}}
	share := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var err error
		asked := conn.Control(func(fd uintptr) { err = shared(int(fd)) })
		return errors.Join(asked, err)
	}}
	listener, err := share.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", l.port))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: l, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return l
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", l.origin)
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	w.Header().Set("Access-Control-Allow-Private-Network", "true")
	verb := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	l.mu.Lock()
	lies, lie := l.verb == verb, l.lie
	if r.Method != http.MethodOptions {
		l.asked[verb]++
	}
	l.mu.Unlock()
	_, _ = io.Copy(io.Discard, r.Body) // so that the page's going away is noticed
	switch {
	case r.Method == http.MethodOptions:
	case lies:
		lie(w, r)
	default:
		l.honest(w, r, verb)
	}
}

// lies has it lie at one verb from now on.
func (l *liar) lies(verb string, lie http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verb, l.lie = verb, lie
}

// times is how often it was asked for a verb.
func (l *liar) times(verb string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[verb]
}

func (l *liar) honest(w http.ResponseWriter, r *http.Request, verb string) {
	switch verb {
	case "GetPortNumber":
		fmt.Fprintf(w, `{"portData":{"portNumber":%s}}`, l.port)
	case "negotiate":
		fmt.Fprint(w, `{"Url":"/signalr","ConnectionToken":"t","ConnectionId":"c","ProtocolVersion":"1.5"}`)
	case "connect":
		fmt.Fprint(w, `{"C":"0","S":1,"M":[]}`)
	case "start":
		fmt.Fprint(w, `{"Response":"started"}`)
	case "poll":
		<-r.Context().Done()
	case "send":
		fmt.Fprint(w, `{"R":{"status_code":"0x53494705"},"I":"0"}`)
	}
}

// says answers with a text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func resets(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// returns is an answer of the hub's method.
func returns(result string) http.HandlerFunc { return says(`{"R":` + result + `,"I":0}`) }

// A page that faces a lying agent ends in time, in a state that says what happened, and nothing is released. What an
// agent returns as signatures is the gateway's to judge: test/hostile has those lies.
func TestLyingCredentialManagement(t *testing.T) {
	d := newDesk(t, desktop{none: true, block: "{\n\t\t\t\ttimeout 20s\n\t\t\t}"})
	l := newLiar(t, d.URL("GATEWAY", ""), d.port)
	const (
		refused = "The smartcard service refused the request"
		broke   = "The smartcard service broke off"
		gone    = "The smartcard service does not answer"
		late    = "The smartcard service took too long"
		noCard  = "No smartcard found"
		pin     = "The PIN was not right"
		other   = "The smartcard service signed something else"
	)
	for name, c := range map[string]struct {
		verb    string
		lie     http.HandlerFunc
		heading string
	}{
		"an honest one without a card":   {"", nil, noCard},
		"no port":                        {"GetPortNumber", says(`{"portData":{}}`), notAccepting},
		"a port that is none":            {"GetPortNumber", says(`{"portData":{"portNumber":"99999"}}`), notAccepting},
		"another port":                   {"GetPortNumber", says(`{"portData":{"portNumber":1}}`), gone},
		"no token":                       {"negotiate", says(`{}`), broke},
		"a token that is a number":       {"negotiate", says(`{"ConnectionToken":7}`), broke},
		"a page in place of negotiate":   {"negotiate", says(`<html>`), broke},
		"negotiate fails":                {"negotiate", status(500), refused},
		"negotiate breaks":               {"negotiate", resets, gone},
		"connect fails":                  {"connect", status(403), refused},
		"connect is garbage":             {"connect", says(`{"C":`), broke},
		"start breaks":                   {"start", resets, gone},
		"send fails":                     {"send", status(500), refused},
		"send breaks":                    {"send", resets, gone},
		"send never answers":             {"send", silent, late},
		"send is garbage":                {"send", says(`}{`), broke},
		"a hub's error":                  {"send", says(`{"E":"There was an error invoking Hub method","I":"0"}`), refused},
		"the result is null":             {"send", returns(`null`), broke},
		"the result is a text":           {"send", returns(`"done"`), broke},
		"the result is a list":           {"send", returns(`[1,2]`), refused},
		"no status":                      {"send", returns(`{"certificate":"QUJD","signatures":[]}`), refused},
		"success without signatures":     {"send", returns(`{"status_code":0,"certificate":"QUJD"}`), broke},
		"signatures that are an object":  {"send", returns(`{"status_code":0,"certificate":"QUJD","signatures":{}}`), broke},
		"a certificate that is a number": {"send", returns(`{"status_code":0,"certificate":7,"signatures":[]}`), broke},
		"a certificate with blanks":      {"send", returns(`{"status_code":0,"certificate":"QU JD","signatures":[]}`), broke},
		"a signature that is no base64":  {"send", returns(`{"status_code":0,"certificate":"QUJD","signatures":[{"id":"1","signature":"?"}]}`), broke},
		"a signature that is null":       {"send", returns(`{"status_code":0,"certificate":"QUJD","signatures":[null]}`), broke},
		"a certificate that is none":     {"send", returns(`{"status_code":0,"certificate":"QUJD","signatures":[{"id":"x","signature":"QUJD"}]}`), other},
		"markup for words":               {"send", returns(`{"status_code":"x","message":"<img src=x onerror=alert(1)>"}`), refused},
		"a wrong PIN in words":           {"send", returns(`{"status_code":"0x1","status_string":"Invalid PIN"}`), pin},
		"a code as a number":             {"send", returns(`{"status_code":1397311237}`), noCard},
		"not running, it says":           {"send", returns(`{"status_code":"PR30007"}`), gone},
		"a result by a poll":             {"poll", says(`{"C":"1","M":[{"I":"0","R":{"status_code":"0x53494705"}}]}`), noCard},
		"a poll that floods":             {"poll", says(`{"C":"1","M":[` + strings.Repeat(`{},`, 1000) + `{}]}`), noCard},
		"a poll that breaks":             {"poll", resets, noCard},
	} {
		t.Run(name, func(t *testing.T) {
			l.lies(c.verb, c.lie)
			b := d.open(t, 1, browser.PermissionSettingGranted)
			b.signHere("Sign 1 item for Acme EPR", c.heading)
			if b.shows("<img") {
				t.Error("the agent's own words are shown")
			}
		})
	}
}
