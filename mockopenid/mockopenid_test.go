package mockopenid

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	issuer   = "http://localhost:8080/openid"
	redirect = "http://localhost:8080/in?x=1"
	verifier = "a verifier of some forty-three characters, or more"
)

// vault is a Vault in memory.
type vault struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (v *vault) Load(_ context.Context, name string) ([]byte, error) {
	if data, ok := v.kept[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (v *vault) Save(_ context.Context, name string, data []byte) error {
	v.kept[name] = data
	return nil
}
func (v *vault) Lock(context.Context, string) error   { v.mu.Lock(); return nil }
func (v *vault) Unlock(context.Context, string) error { v.mu.Unlock(); return nil }

// nodes returns two mocks with one vault and one clock.
func nodes(t *testing.T) (one, two *Provider, later func(time.Duration)) {
	t.Helper()
	now, shared := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), &vault{kept: map[string][]byte{}}
	options := Options{
		BaseURL: func(*http.Request) (string, error) { return issuer, nil }, Vault: shared, Now: func() time.Time { return now },
		People:  []Person{{"555086689106", "Alice Made-Up", 3}},
		Clients: []Client{{ID: "gateway", Secret: "s3cret", RedirectURIs: []string{redirect}}, {ID: "other", Secret: "0ther", RedirectURIs: []string{redirect}}},
	}
	one, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if two, err = New(options); err != nil {
		t.Fatal(err)
	}
	return one, two, func(d time.Duration) { now = now.Add(d) }
}

func send(p *Provider, method, target string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, r)
	return recorder
}

func asked() url.Values {
	sum := sha256.Sum256([]byte(verifier))
	return url.Values{"client_id": {"gateway"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
}

func code(t *testing.T, p *Provider) string {
	t.Helper()
	form := asked()
	form.Set("username", "555086689106")
	back, err := url.Parse(send(p, "POST", "/authorize", form).Header().Get("Location"))
	if err != nil || back.Query().Get("state") != "s" || back.Query().Get("iss") != issuer || back.Query().Get("x") != "1" {
		t.Fatalf("got redirect to %s", back)
	}
	return back.Query().Get("code")
}

func redeeming(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {"gateway"}, "client_secret": {"s3cret"}, "redirect_uri": {redirect},
		"code": {code}, "code_verifier": {verifier}}
}

func TestAMockSignIn(t *testing.T) {
	one, two, later := nodes(t)
	page := send(one, "GET", "/authorize?"+asked().Encode(), nil)
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "MOCK sign-in") || !strings.Contains(page.Body.String(), "Alice Made-Up") {
		t.Fatalf("got status %d, body %s", page.Code, page.Body)
	}
	given := code(t, one)
	answer := send(two, "POST", "/token", redeeming(given)) // the other node
	var tokens struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &tokens); err != nil || answer.Code != http.StatusOK || tokens.ID == "" {
		t.Fatalf("got status %d, body %s", answer.Code, answer.Body)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.ID, ".")[1])
	if err != nil || !strings.Contains(string(claims), `"amr":["mock"]`) || !strings.Contains(string(claims), `"authentication_assurance_level":"3"`) {
		t.Errorf("got claims %s", claims)
	}
	info := send(one, "GET", "/userinfo", nil, "Authorization", "Bearer "+tokens.Access)
	if info.Code != http.StatusOK || !strings.Contains(info.Body.String(), `"mock":true`) {
		t.Errorf("got status %d, body %s", info.Code, info.Body)
	}
	for name, token := range map[string]string{"an ID token": tokens.ID, "a code": given, "nothing": ""} {
		if a := send(one, "GET", "/userinfo", nil, "Authorization", "Bearer "+token); a.Code != http.StatusUnauthorized {
			t.Errorf("%s at userinfo: got status %d", name, a.Code)
		}
	}
	later(tokenLife)
	if a := send(one, "GET", "/userinfo", nil, "Authorization", "Bearer "+tokens.Access); a.Code != http.StatusUnauthorized {
		t.Errorf("after its expiry: got status %d", a.Code)
	}
}

// The mock is strict towards its clients, so that what works with it works with a real provider.
func TestWhatTheMockRefuses(t *testing.T) {
	one, _, later := nodes(t)
	for name, change := range map[string]func(url.Values){
		"another secret":   func(f url.Values) { f.Set("client_secret", "x") },
		"another client":   func(f url.Values) { f.Set("client_id", "other"); f.Set("client_secret", "0ther") },
		"another redirect": func(f url.Values) { f.Set("redirect_uri", "http://localhost:8080/in") },
		"another verifier": func(f url.Values) { f.Set("code_verifier", "x") },
		"another grant":    func(f url.Values) { f.Set("grant_type", "password") },
		"no code":          func(f url.Values) { f.Set("code", "x") },
		"a late one":       func(url.Values) { later(codeLife) },
	} {
		form := redeeming(code(t, one))
		change(form)
		if a := send(one, "POST", "/token", form); a.Code == http.StatusOK {
			t.Errorf("%s: got body %s", name, a.Body)
		}
	}
	for name, value := range map[string]string{"redirect_uri": "https://evil.example", "client_id": "nobody"} {
		query := asked()
		query.Set(name, value)
		if a := send(one, "GET", "/authorize?"+query.Encode(), nil); a.Code != http.StatusBadRequest || a.Header().Get("Location") != "" {
			t.Errorf("%s: got status %d, Location %s", name, a.Code, a.Header().Get("Location"))
		}
	}
	query := asked()
	query.Del("code_challenge")
	if a := send(one, "GET", "/authorize?"+query.Encode(), nil); !strings.Contains(a.Header().Get("Location"), "error=invalid_request") {
		t.Errorf("without PKCE: got status %d, headers %v", a.Code, a.Header())
	}
}

// A program that knows the real mock provider finds its form, and sends username alone to the form's address (TOK-8.15).
func TestTheFormOfTheRealMock(t *testing.T) {
	one, two, _ := nodes(t)
	page := send(one, "GET", "/authorize?"+asked().Encode(), nil)
	found := regexp.MustCompile(`<form id="kc-form-login" method="post" action="([^"]+)">(?s:.*?)<input id="username" name="username"(?s:.*?)</form>`).FindStringSubmatch(page.Body.String())
	if found == nil {
		t.Fatalf("there is no such form in %s", page.Body)
	}
	action, isOurs := strings.CutPrefix(html.UnescapeString(found[1]), issuer)
	if !isOurs {
		t.Fatalf("the form goes to %s, want an address below %s", found[1], issuer)
	}
	wrong := send(two, "POST", action, url.Values{"username": {"000000000000"}})
	if wrong.Code != http.StatusBadRequest || !strings.Contains(wrong.Body.String(), `<form id="kc-form-login"`) || !strings.Contains(wrong.Body.String(), "knows nobody") {
		t.Errorf("a user id that nobody has: got status %d, body %s", wrong.Code, wrong.Body)
	}
	back, err := url.Parse(send(two, "POST", action, url.Values{"username": {"555086689106"}}).Header().Get("Location"))
	if err != nil || back.Query().Get("state") != "s" {
		t.Fatalf("got redirect to %s", back)
	}
	if a := send(one, "POST", "/token", redeeming(back.Query().Get("code"))); a.Code != http.StatusOK {
		t.Errorf("the code: got status %d, body %s", a.Code, a.Body)
	}
	back, err = url.Parse(send(one, "POST", action, url.Values{"refuse": {"yes"}}).Header().Get("Location"))
	if err != nil || back.Query().Get("error") != "access_denied" {
		t.Errorf("refused: got redirect to %s", back)
	}
}

// A logout ends the session that a person has in this browser, which the ID token named, and no other.
func TestALogoutNamesTheSession(t *testing.T) {
	one, two, _ := nodes(t)
	var told []string
	client := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told = append(told, r.FormValue("logout_token"))
	}))
	t.Cleanup(client.Close)
	for _, p := range []*Provider{one, two} {
		p.Clients[0].LogoutURI = client.URL
	}
	sid := func(token string) string {
		t.Helper()
		claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		var said struct{ SID, Sub string }
		if err != nil || json.Unmarshal(claims, &said) != nil || said.SID == "" || said.Sub != "555086689106" {
			t.Fatalf("got claims %s", claims)
		}
		return said.SID
	}
	signIn := func(p *Provider, cookie string) (session, kept string) {
		t.Helper()
		form := asked()
		form.Set("username", "555086689106")
		a := send(p, "POST", "/authorize", form, "Cookie", cookie)
		back, err := url.Parse(a.Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		var tokens struct {
			ID string `json:"id_token"`
		}
		if err := json.Unmarshal(send(p, "POST", "/token", redeeming(back.Query().Get("code"))).Body.Bytes(), &tokens); err != nil {
			t.Fatal(err)
		}
		kept, _, _ = strings.Cut(a.Header().Get("Set-Cookie"), ";")
		return sid(tokens.ID), kept
	}
	first, kept := signIn(one, "")
	again, kept := signIn(two, kept)
	other, _ := signIn(one, "")
	if first != again || first == other {
		t.Errorf("the sessions are %s, %s in the same browser, and %s in another", first, again, other)
	}
	if a := send(one, "POST", "/logout", url.Values{"username": {"555086689106"}}); a.Code != http.StatusBadRequest || len(told) > 0 {
		t.Errorf("in a third browser: got status %d, and %d are told", a.Code, len(told))
	}
	if a := send(two, "GET", "/logout", nil, "Cookie", kept); !strings.Contains(a.Body.String(), "Alice Made-Up") {
		t.Errorf("got body %s", a.Body)
	}
	out := send(two, "POST", "/logout", url.Values{"username": {"555086689106"}}, "Cookie", kept)
	if out.Code != http.StatusOK || len(told) != 1 || sid(told[0]) != first {
		t.Fatalf("got status %d, body %s; told %v", out.Code, out.Body, told)
	}
	kept, _, _ = strings.Cut(out.Header().Get("Set-Cookie"), ";")
	if next, _ := signIn(one, kept); next == first {
		t.Error("the session begins again after its end")
	}
}
