package tokens_test

import (
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// With another client's token a session is not there, whichever call names it (SIG-4.4, SIG-4.8).
func TestForeignTokens(t *testing.T) {
	w := newWorld(t)
	base := w.URL("GATEWAY", "/signing-service")
	acme, beta := "Bearer "+w.token(t, "acme"), "Bearer "+w.token(t, "beta")
	system := gateway.System{Base: base, ID: "beta", Kid: "beta-1", Key: w.keys["beta"], Sub: person}
	payload := gateway.Payloads("RS256", 1)
	post := func(token string) answer {
		return send(t, "POST", base+"/signaturerequest", system.JWT(t, "RS256", payload...), "Content-Type", "text/plain", "Authorization", token)
	}
	refused := func(what string, a answer) {
		t.Helper()
		if a.status != http.StatusUnauthorized || a.field("code") != "access_token" || a.header.Get("WWW-Authenticate") == "" || a.field("requestId") == "" {
			t.Errorf("%s: %d %v %s", what, a.status, a.header, a.body)
		}
	}
	refused("another client's JWT", post(acme))
	refused("no token", post(""))
	refused("an unknown token", post("Bearer 0000000000000000000000000000"))
	if a := post("Bearer " + w.token(t, "limited")); a.status != http.StatusForbidden || a.field("code") != "access_token" {
		t.Errorf("a token without the scope: %d %s", a.status, a.body)
	}

	accepted := post(beta)
	session := accepted.field("token")
	if accepted.status != http.StatusOK || session == "" {
		t.Fatalf("beta's own: %d %s", accepted.status, accepted.body)
	}
	w.MustNotLog(session)
	const nobodys = "f523a772-24f2-45d6-a8da-59b48de0231b"
	// same holds two answers to each other, but for what differs in any two.
	same := func(what string, foreign, unknown answer) {
		t.Helper()
		neutral := regexp.MustCompile(`"requestId":"[^"]*"`)
		if foreign.status != unknown.status || neutral.ReplaceAllString(foreign.body, "") != neutral.ReplaceAllString(unknown.body, "") {
			t.Errorf("%s can be told from nobody's:\n%d %s\n%d %s", what, foreign.status, foreign.body, unknown.status, unknown.body)
		}
		for name := range foreign.header {
			if unknown.header[name] == nil {
				t.Errorf("%s has a header %s that nobody's has not", what, name)
			}
		}
	}
	fetch := func(token, session string) answer {
		return send(t, "GET", base+"/signatureresponse/"+session, "", "Authorization", token)
	}
	if a := fetch(beta, session); a.status != http.StatusBadRequest || a.field("message") != "Signature request has not been downloaded yet" {
		t.Errorf("beta's own session: %d %s", a.status, a.body)
	}
	same("another's session", fetch(acme, session), fetch(acme, nobodys))
	if a := fetch(acme, session); a.status != http.StatusNotFound || a.field("message") != "No signature request for specified token" {
		t.Errorf("another's session: %d %s", a.status, a.body)
	}
	refused("no token", fetch("", session))
	refused("no token, nobody's session", fetch("", nobodys))

	// The page: whoever shows a token with its calls is held to it.
	page := newPage(t, base, session)
	open := func(token, session string) answer {
		return page.call(t, "/client/open", `{"token":"`+session+`","query":"token=`+session+`"}`, token)
	}
	same("another's page", open(acme, session), open(acme, nobodys))
	if a := open(acme, session); a.status != http.StatusNotFound {
		t.Errorf("another's page: %d %s", a.status, a.body)
	}
	opened := open(beta, session)
	if opened.status != http.StatusOK {
		t.Fatalf("beta's own page: %d %s", opened.status, opened.body)
	}
	id := opened.field("id")
	for _, path := range []string{"/client/open", "/client/sign", "/client/cancel"} {
		if a := page.call(t, path, `{"id":"`+id+`"}`, acme); a.status != http.StatusNotFound {
			t.Errorf("%s of another: %d %s", path, a.status, a.body)
		}
	}
	if a := page.call(t, "/client/cancel", `{"id":"`+id+`"}`, beta); a.status != http.StatusOK {
		t.Errorf("beta's own: %d %s", a.status, a.body)
	}
}

// page is a program at the signing page.
type page struct {
	http               *http.Client
	base, origin, csrf string
}

func newPage(t *testing.T, base, session string) *page {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{http: &http.Client{Jar: jar, Timeout: client.Timeout, Transport: client.Transport}, base: base, origin: strings.TrimSuffix(base, "/signing-service")}
	a := p.send(t, "GET", "/client?token="+session, "")
	found := regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`).FindStringSubmatch(a.body)
	if found == nil {
		t.Fatalf("the page has no CSRF value: %.1000s", a.body)
	}
	p.csrf = found[1]
	return p
}

func (p *page) call(t *testing.T, path, body, token string) answer {
	t.Helper()
	return p.send(t, "POST", path, body, "Content-Type", "application/json", "Origin", p.origin, "X-CSRF-Token", p.csrf, "Authorization", token)
}

func (p *page) send(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	a, err := exchange(p.http, method, p.base+path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
