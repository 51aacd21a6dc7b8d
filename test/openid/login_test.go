package openid_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// logins are the cookies of sign-ins under way that the browser sends to an address.
func (p *person) logins(address string) (kept []*http.Cookie) {
	p.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.http.Jar.Cookies(u) {
		if strings.Contains(c.Name, "countersign-login") {
			kept = append(kept, c)
		}
	}
	return kept
}

// unforgetting is a browser that shows these cookies, whatever it is told.
func unforgetting(t *testing.T, kept []*http.Cookie) (p *person, header string) {
	p = newPerson(t)
	p.http.Jar = nil
	var pairs []string
	for _, c := range kept {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return p, strings.Join(pairs, "; ")
}

// Whoever knows a client's id and where its people go can begin as many sign-ins as he likes. Until somebody has signed
// in at the provider the store has no more of it than before.
func TestStrangersLeaveNothing(t *testing.T) {
	database := postgrestest.Start(t)
	t.Setenv("OPENID_DATABASE_URL", database.DSN())
	w := newWorld(t, func(w *world) { w.store = "postgres {env.OPENID_DATABASE_URL}" })
	w.MustNotLog(postgrestest.Password)
	count := func() string {
		return database.SQL(postgrestest.Database, "SELECT count(*) FROM countersign.records")
	}
	before := count()
	for range 50 {
		newPerson(t).get(w.authorizeURL(w.asked("s")))
	}
	p := newPerson(t)
	for range 5 {
		state := p.get(w.authorizeURL(w.asked("s"))).location(t).Query().Get("state")
		stranger, cookies := unforgetting(t, p.logins(w.base()+"/callback"))
		for _, query := range []string{"&code=guessed&iss=" + url.QueryEscape(w.issuer), "&error=access_denied&iss=" + url.QueryEscape(w.issuer), "&code=x"} {
			stranger.get(w.base()+"/callback?state="+state+query, "Cookie", cookies)
		}
	}
	if after := count(); after != before {
		t.Errorf("the store has %s records, and had %s", after, before)
	}
	w.mustWork(t, w.tokens(t, alice).field("access_token"), alice)
	if after := count(); after == before {
		t.Error("a real sign-in leaves nothing: this test sees nothing")
	}
}

// What the browser keeps is of no use to anybody but itself: not changed, not cut, not in the place of another.
func TestSealedLogins(t *testing.T) {
	w := newWorld(t)
	p := newPerson(t)
	callback := p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("the client's state"))).location(t).String(), alice)
	kept := p.logins(w.base() + "/callback")
	raw, err := base64.RawURLEncoding.DecodeString(kept[0].Value)
	if err != nil || len(kept) != 1 || strings.Contains(string(raw), "acme") || strings.Contains(string(raw), "state") {
		t.Fatalf("the browser keeps %v, %v", kept, err)
	}
	p.get(w.authorizeURL(w.asked("another")))
	other := p.logins(w.base() + "/callback")[1]
	changed := func(at int) string {
		flipped := []byte(string(raw))
		flipped[at] ^= 1
		return base64.RawURLEncoding.EncodeToString(flipped)
	}
	for name, value := range map[string]string{
		"nothing": "", "no base64": "***", "cut": kept[0].Value[:40], "too large": strings.Repeat("A", 10_000),
		"a bit of its nonce": changed(0), "a bit of its text": changed(40), "a bit of its tag": changed(len(raw) - 1),
		"another's": other.Value, "two": kept[0].Value + "; " + kept[0].Name + "=" + kept[0].Value,
	} {
		stranger, _ := unforgetting(t, nil)
		a := stranger.get(callback, "Cookie", kept[0].Name+"="+value)
		if a.status != 400 || a.field("error_description") != "Invalid state parameter." {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if p.get(callback).location(t).Query().Get("code") == "" {
		t.Error("the right one after that is refused")
	}
	if left := p.logins(w.base() + "/callback"); len(left) != 1 || left[0].Name != other.Name {
		t.Errorf("the browser still keeps %v", left)
	}
}

// Two tabs of one browser sign in at one time, for two clients; the later one is done first.
func TestTwoTabs(t *testing.T) {
	w := newWorld(t)
	p := newPerson(t)
	query := w.asked("of beta")
	query.Set("client_id", "beta")
	one := p.get(w.authorizeURL(w.asked("of acme"))).location(t).String()
	two := p.get(w.authorizeURL(query)).location(t).String()
	for _, tab := range []struct{ address, state string }{{two, "of beta"}, {one, "of acme"}} {
		if back := p.get(p.signIn(w.issuer, tab.address, alice)).location(t).Query(); back.Get("state") != tab.state || back.Get("code") == "" {
			t.Errorf("sent back with %v", back)
		}
	}
}

// Two nodes: each finishes what the other began, also when that one has died, and one answer gets one code from both.
func TestLoginsOfTwoNodes(t *testing.T) {
	database := postgrestest.Start(t)
	t.Setenv("OPENID_DATABASE_URL", database.DSN())
	w := newWorld(t, func(w *world) { w.store = "postgres {env.OPENID_DATABASE_URL}" })
	w.MustNotLog(postgrestest.Password)
	second, there := w.second(t)
	begin := func() (callback string, kept []*http.Cookie) {
		p := newPerson(t)
		callback = p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("s"))).location(t).String(), alice)
		return callback, p.logins(callback)
	}
	for range 5 {
		callback, kept := begin()
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := 0
		for i := range 8 {
			p, cookies := unforgetting(t, kept)
			address := callback
			if i%2 == 0 {
				address = there(callback)
			}
			all.Go(func() {
				r, err := http.NewRequest(http.MethodGet, address, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Cookie", cookies)
				response, err := p.http.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				back, err := url.Parse(response.Header.Get("Location"))
				mu.Lock()
				defer mu.Unlock()
				if err == nil && back.Query().Has("code") {
					codes++
				}
			})
		}
		all.Wait()
		if codes > 1 {
			t.Errorf("%d codes of one answer", codes)
		}
		for _, address := range []string{callback, there(callback)} {
			p, cookies := unforgetting(t, kept)
			if a := p.get(address, "Cookie", cookies); codes == 1 && a.status != 400 {
				t.Errorf("once more: %d to %s", a.status, a.header.Get("Location"))
			}
		}
	}
	callback, kept := begin()
	w.Kill()
	p, cookies := unforgetting(t, kept)
	if back := p.get(there(callback), "Cookie", cookies).location(t); back.Query().Get("code") == "" {
		t.Errorf("after its node died: sent to %s", back)
	}
	w.Restart()
	mustTell(t, p.get(callback, "Cookie", cookies), 400, ir, "Invalid state parameter.")
	if !second.Running() {
		t.Error("the second node is gone")
	}
}

// second starts another node of the cluster that the world is one of, and says where its addresses are there.
func (w *world) second(t *testing.T) (*gateway.Gateway, func(address string) string) {
	t.Helper()
	public := w.URL("GATEWAY", "/")
	text := strings.ReplaceAll(w.caddyfile(), "public_url http://localhost:{$PORT_GATEWAY}/", "public_url "+public)
	text = strings.Replace(text, "environment int", "environment int\n\t\taudit {\n\t\t\tdir "+t.TempDir()+"\n\t\t}", 1) // each node has its own
	second := gateway.Start(t, text, gateway.Beside(w.Gateway))
	return second, func(address string) string { return strings.Replace(address, public, second.URL("GATEWAY", "/"), 1) }
}
