package clients_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// languages are the clients, with what builds each into a folder and what runs it.
var languages = map[string]func(t *testing.T, source, built string) []string{
	"python": func(_ *testing.T, source, _ string) []string {
		return []string{"/usr/bin/python3", source + "/client.py"} // Debian's own has the packages
	},
	"node": func(_ *testing.T, source, _ string) []string { return []string{"node", source + "/client.mjs"} },
	"php":  func(_ *testing.T, source, _ string) []string { return []string{"php", source + "/client.php"} },
	"java": func(t *testing.T, source, built string) []string {
		must(t, "javac", "-Xlint:all,-serial", "-Werror", "-d", built, source+"/Client.java", source+"/Json.java")
		return []string{"java", "-XX:TieredStopAtLevel=1", "-cp", built, "Client"}
	},
	"go": func(t *testing.T, source, built string) []string {
		must(t, "go", "build", "-o", built+"/client", source)
		return []string{built + "/client"}
	},
}

// TestClients takes each client through the whole journey.
func TestClients(t *testing.T) {
	names := make([]string, 0, len(languages))
	for name := range languages {
		names = append(names, name)
	}
	w := newWorld(t, names)
	for name, build := range languages {
		t.Run(name, func(t *testing.T) {
			command := build(t, filepath.Join(gateway.Root(t), "examples", "clients", name), t.TempDir())
			t.Run("faults and webhook", func(t *testing.T) { w.faults(t, command, name) })
			t.Run("batch and callback", func(t *testing.T) { w.batch(t, command, name) })
			t.Run("cancelled", func(t *testing.T) { w.cancelled(t, command, name) })
			t.Run("expired", func(t *testing.T) { w.expired(t, command, name) })
			t.Run("user", func(t *testing.T) { w.user(t, command, name, w.idToken(t)) })
		})
	}
}

// faults loses, refuses and delays the request on its way. The client sends the very same again, with a new token after the
// 401, and ends with the session that the lost answer was about. A webhook tells it that the request is signed: nothing
// else would within ten minutes, and a forged one does not.
func (w *world) faults(t *testing.T, command []string, client string) {
	w.proxy.play(http.MethodPost, "401", "cut", "503", "429")
	sample := gateway.Payload{ID: "payload", Payload: base64.StdEncoding.EncodeToString(read(t, filepath.Join(gateway.Root(t), "examples", "clients", "payload.xml")))}
	r := w.start(t, command, client, []gateway.Payload{sample})
	redirect := r.said("open")
	came := w.proxy.requests(http.MethodPost)
	if len(came) != 5 {
		t.Fatalf("got %d requests, want 5: %+v", len(came), came)
	}
	for _, one := range came[1:] {
		if one.body != came[0].body {
			t.Errorf("got another JWT after %s, want the same", came[0].fault)
		}
		if one.authorization == came[0].authorization || one.authorization != came[1].authorization {
			t.Errorf("got the access token %.20s…, want a new one after the 401 and then no other", one.authorization)
		}
	}

	w.proxy.awaitPoll(t)
	token := queryOf(t, redirect).Get("token")
	forged := `{"id":"evt","type":"signing.completed","timestamp":"2026-11-22T09:00:00Z","data":{"token":"` + token + `","status":"signed","client":"` + client + `"}}`
	if status := r.post(w.ports[client], "/webhook", forged); status != http.StatusBadRequest {
		t.Errorf("a webhook that nobody signed: got %d, want 400", status)
	}
	if strings.Contains(r.Output(), "webhook") {
		t.Errorf("got %q, want the forged webhook passed over", r.Output())
	}
	if view := gateway.Visit(t, redirect).SignToEnd(); view.State != "signed" {
		t.Fatalf("got the state %s, want signed", view.State)
	}
	r.ends(0, "webhook signing.completed", "signed 1")
	r.verify("RS256", sample)
}

// batch is of 250 payloads under RS1. Its fetches are lost and delayed too. The browser's return ends the wait; one with
// another state does not.
func (w *world) batch(t *testing.T, command []string, client string) {
	w.proxy.play(http.MethodGet, "cut", "503")
	payloads := gateway.Payloads("RS1", 250)
	r := w.start(t, command, client+"-quiet", payloads, "ALGORITHM=RS1")
	redirect := r.said("open")
	w.proxy.awaitPoll(t)
	view := gateway.Visit(t, redirect).SignToEnd()
	if view.State != "signed" {
		t.Fatalf("got the state %s, want signed", view.State)
	}
	if status := r.get(strings.Replace(view.Redirect, "state=", "state=x", 1)); status != http.StatusBadRequest {
		t.Errorf("a return with another state: got %d, want 400", status)
	}
	if status := r.get(view.Redirect); status != http.StatusOK {
		t.Errorf("the browser's return: got %d, want 200", status)
	}
	r.ends(0, "callback ok", "signed 250")
	r.verify("RS1", payloads...)
	w.proxy.play(http.MethodGet)
}

// cancelled has the person give the request up. The client finds out by asking: it is told nothing.
func (w *world) cancelled(t *testing.T, command []string, client string) {
	r := w.start(t, command, client+"-quiet", gateway.Payloads("RS256", 1), "POLL=0.2")
	browser := gateway.Visit(t, r.said("open"))
	browser.Open()
	browser.Cancel()
	r.ends(3, "not signed:", "410 cancelled")
}

func (w *world) expired(t *testing.T, command []string, client string) {
	r := w.start(t, command, client+"-quiet", gateway.Payloads("RS256", 1), "POLL=0.2", "SIGNING_URL="+w.proxy.url+"/brief")
	r.said("open")
	r.ends(3, "not signed:", "410 expired")
}

// user is at a service that demands tokens with a user: an application's own is refused for good, one that was exchanged
// for the person's ID token is taken.
func (w *world) user(t *testing.T, command []string, client, idToken string) {
	settings := []string{"POLL=0.2", "SIGNING_URL=" + w.proxy.url + "/users"}
	w.start(t, command, client+"-quiet", gateway.Payloads("RS256", 1), settings...).ends(1, "error:", "403 access_token")

	payloads := gateway.Payloads("RS256", 1)
	r := w.start(t, command, client+"-quiet", payloads, append(settings, "ID_TOKEN="+idToken)...)
	gateway.Visit(t, r.said("open")).SignToEnd()
	r.ends(0, "signed 1")
	r.verify("RS256", payloads...)
}

// verify holds the finished XML signatures to their payloads, as openssl sees them. Of many it looks at one in ten: the
// client has verified them all.
func (r *run) verify(algorithm string, payloads ...gateway.Payload) {
	r.t.Helper()
	var verifier gateway.Verifier
	certificate := ""
	for i, payload := range payloads {
		signed := string(read(r.t, filepath.Join(r.dir, payload.ID+".signed.xml")))
		info := string(unbase64(r.t, payload.Payload))
		rest, found := strings.CutPrefix(signed, `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">`+info+`<SignatureValue>`)
		value, rest, found2 := strings.Cut(rest, `</SignatureValue><KeyInfo><X509Data><X509Certificate>`)
		made, end, found3 := strings.Cut(rest, `</X509Certificate>`)
		if !found || !found2 || !found3 || end != `</X509Data></KeyInfo></Signature>` {
			r.t.Fatalf("got %s, want a signature over the payload %s", signed, payload.ID)
		}
		if i%10 != 0 {
			continue
		}
		if made != certificate {
			certificate, verifier = made, gateway.NewVerifier(r.t, algorithm, made)
		}
		if err := verifier.Verify([]byte(info), unbase64(r.t, value)); err != nil {
			r.t.Errorf("payload %s: %v", payload.ID, err)
		}
	}
}

func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := gateway.Run(nil, name, args...); err != nil {
		t.Fatal(err)
	}
}

func (r *run) post(port int, path, body string) int {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodPost, address(port, path), strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Id", "evt")
	request.Header.Set("Webhook-Timestamp", now())
	request.Header.Set("Webhook-Signature", "v1a,"+base64.StdEncoding.EncodeToString(make([]byte, 64)))
	return r.do(request)
}

func (r *run) get(address string) int {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(request)
}

func (r *run) do(request *http.Request) int {
	r.t.Helper()
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func queryOf(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
