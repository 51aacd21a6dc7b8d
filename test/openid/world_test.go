package openid_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	alice = "555086689106" // level 3
	bob   = "555086689207" // level 3
	carol = "555086689308" // level 2
	dave  = "555086689409" // of whom the provider says no level

	secret     = "s3cret-of-acme"
	betaSecret = "s3cret-of-beta"
	ownSecret  = "s3cret-of-the-gateway"
	userScope  = "urn:nhsd:apim:user-nhs-cis2:aal3:signing-service"
	appScope   = "urn:nhsd:apim:app:level3:signing-service"
	assertion  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	exchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	idToken    = "urn:ietf:params:oauth:token-type:id_token"
)

// key is the clients' key; it is made once, since that takes long.
var key = sync.OnceValues(func() (gateway.Key, error) { return gateway.MakeKey(keyDir, 4096) })

var keyDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if keyDir, err = os.MkdirTemp("", "countersign-openid-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(keyDir) }()
		return m.Run()
	}())
}

// world is a gateway whose people sign in at oidc-provider.
type world struct {
	*gateway.Gateway
	t        *testing.T
	key      gateway.Key
	op       *gateway.Process
	issuer   string
	redirect string // of acme; nobody listens there
	lines    string // of openid, in the Caddyfile
	store    string
	signs    string // lines of signing_service
	callback string // of acme, after signing
	global   string // more global options

	tokenLines string // more lines of apim_token
	site       string // more directives of the gateway's site
	options    []gateway.Option
}

// newWorld starts the provider and the gateway. A change alters what the gateway is configured with.
func newWorld(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	k, err := key()
	if err != nil {
		t.Fatal(err)
	}
	port := gateway.FreePort(t)
	w := &world{
		t: t, key: k, issuer: fmt.Sprintf("http://localhost:%d", port), redirect: "http://localhost:9/signed-in?site=7",
		lines: "client_id countersign\n\t\t\tsecret " + ownSecret, store: "badger", callback: "http://localhost:9/signed", tokenLines: "tell_sid",
	}
	for _, c := range change {
		c(w)
	}
	w.Gateway = gateway.Start(t, w.caddyfile(), w.options...)
	w.startProvider(port)
	w.MustNotLog(alice, bob, carol, dave, secret, ownSecret)
	return w
}

func (w *world) startProvider(port int) {
	w.t.Helper()
	var jwks struct {
		Keys []map[string]string `json:"keys"`
	}
	jwks.Keys = append(jwks.Keys, w.key.JWK(w.t, "acme-1"))
	settings, err := json.Marshal(map[string]any{
		"clients": []map[string]any{
			{"client_id": "countersign", "client_secret": ownSecret, "token_endpoint_auth_method": "client_secret_post",
				"redirect_uris":                       []string{w.base() + "/callback", w.signing() + "/client/signed-in"},
				"backchannel_logout_uri":              w.base() + "/backchannel_logout",
				"backchannel_logout_session_required": true},
			{"client_id": "countersign-key", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "RS512",
				"redirect_uris": []string{w.base() + "/callback"}, "jwks": jwks},
			{"client_id": "acme-at-op", "client_secret": secret, "token_endpoint_auth_method": "client_secret_post",
				"redirect_uris": []string{"http://localhost:9/own"}},
			{"client_id": "other-at-op", "client_secret": secret, "token_endpoint_auth_method": "client_secret_post",
				"redirect_uris": []string{"http://localhost:9/own"}},
		},
		"people": map[string]any{
			alice: map[string]any{"name": "Alice Made-Up", "authentication_assurance_level": "3"},
			bob:   map[string]any{"name": "Bob Made-Up", "authentication_assurance_level": 3},
			carol: map[string]any{"name": "Carol Made-Up", "authentication_assurance_level": "2"},
			dave:  map[string]any{"name": "Dave Made-Up"},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("node", "provider.mjs", fmt.Sprint(port), string(settings))
	w.op = gateway.Launch(w.t, cmd)
	w.op.Await("the provider", 5*time.Minute, func() error {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

func (w *world) base() string    { return w.URL("GATEWAY", "/oauth2") }
func (w *world) signing() string { return w.URL("GATEWAY", "/signing-service") }

func (w *world) caddyfile() string {
	client := "key acme-1 " + w.key.Public + "\n\t\t\tcallback " + w.callback + "\n\t\t\t"
	return fmt.Sprintf(`{
`+gateway.Options+`%[11]s	countersign {
		environment int
		store %[1]s
		openid %[2]s {
			%[3]s
			scopes openid profile
			acr AAL3_ANY
		}
		client acme {
			%[4]sproducts signing users
			secret %[5]s
			redirect_uri %[6]s http://localhost:9/other
			audience acme-at-op
			algorithms RS256
		}
		client beta {
			%[4]sproducts signing users
			secret %[7]s
			redirect_uri %[6]s
		}
		client lower {
			%[4]sproducts lower
			secret %[5]s
			redirect_uri %[6]s
		}
		client revoked {
			%[4]sproducts users
			secret %[5]s
			redirect_uri %[6]s
			status revoked
		}
		client userless {
			%[4]sproducts signing
			secret %[5]s
			redirect_uri %[6]s
		}
		product signing {
			scopes %[8]s
		}
		product lower {
			scopes urn:nhsd:apim:user-nhs-id:aal2:signing-service
		}
		product users {
			scopes %[9]s urn:nhsd:apim:user-nhs-cis2:aal3:another
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
%[12]s	handle_path /oauth2/* {
		apim_authorize {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
			status_key s3cret
			%[13]s
		}
	}
	handle /api/* {
		apim_bearer {
			user
			level aal3
		}
		respond "hello {countersign.client} {countersign.user} {countersign.level} {countersign.scopes}"
	}
	handle_path /signing-service/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing-service
			access bearer
			%[10]s
			mock https://localhost:{$PORT_AGENT} {
				`+gateway.MutualTLS+`			}
			certificates {
				trust mock
			}
		}
	}
}

https://localhost:{$PORT_AGENT} {
`+gateway.DemandMutualTLS+`	log
	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`, w.store, w.issuer, w.lines, client, secret, w.redirect, betaSecret, appScope, userScope, w.signs, w.global, w.site, w.tokenLines)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) field(name string) string {
	var fields map[string]any
	_ = json.Unmarshal([]byte(a.body), &fields)
	text, _ := fields[name].(string)
	return text
}

// location is where a redirect leads, with its query.
func (a answer) location(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status < 300 || a.status > 399 {
		t.Fatalf("no redirect: %d %v %.500s", a.status, a.header, a.body)
	}
	return u
}

// described takes no answer of the gateway that is not as it is described. It keeps no connection, which a gateway that is
// killed or reloaded would leave half open.
var described = &http.Client{Timeout: 2 * patience, Transport: gateway.Described(&http.Transport{DisableKeepAlives: true})}

// person is somebody with a browser, whose cookies are kept and whose redirects are looked at one by one.
type person struct {
	t    *testing.T
	http *http.Client
}

func newPerson(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, &http.Client{Jar: jar, Timeout: 2 * patience, Transport: gateway.Described(&http.Transport{DisableKeepAlives: true}), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (p *person) send(method, address, body string, headers ...string) answer {
	p.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func (p *person) get(address string, headers ...string) answer {
	p.t.Helper()
	return p.send("GET", address, "", headers...)
}

var (
	formAction = regexp.MustCompile(`action="([^"]+)"`)
	formInput  = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// signIn follows the redirects from the provider's address, puts the name into its form, and returns the address
// outside the provider that it ends at, which is not gone to. Without a name the person refuses.
func (p *person) signIn(issuer, address, name string) string {
	p.t.Helper()
	for range 10 {
		if !strings.HasPrefix(address, issuer) {
			return address
		}
		a := p.get(address)
		if a.status == http.StatusOK {
			form := url.Values{"login": {name}, "do": {"sign-in"}}
			if name == "" {
				form.Set("do", "refuse")
			}
			found := formAction.FindStringSubmatch(a.body)
			if found == nil {
				p.t.Fatalf("no form at the provider: %.500s", a.body)
			}
			if to, isOwn := strings.CutPrefix(found[1], issuer); isOwn { // whom it remembers is somebody else: it logs them out
				found[1], form = to, url.Values{}
				for _, input := range formInput.FindAllStringSubmatch(a.body, -1) {
					form.Set(input[1], input[2])
				}
			}
			a = p.send("POST", issuer+found[1], form.Encode())
		}
		u := a.location(p.t)
		base, _ := url.Parse(address)
		address = base.ResolveReference(u).String()
	}
	p.t.Fatalf("the provider goes round in circles: %s", address)
	return ""
}

// asked is a good query of /authorize.
func (w *world) asked(state string) url.Values {
	return url.Values{"client_id": {"acme"}, "redirect_uri": {w.redirect}, "response_type": {"code"}, "state": {state}}
}

func (w *world) authorizeURL(query url.Values) string {
	return w.base() + "/authorize?" + query.Encode()
}

// code has the person sign in for a client, and returns the code that it gets.
func (w *world) code(t *testing.T, p *person, name string, query url.Values) string {
	t.Helper()
	callback := p.signIn(w.issuer, p.get(w.authorizeURL(query)).location(t).String(), name)
	if !strings.HasPrefix(callback, w.base()+"/callback?") {
		t.Fatalf("the provider sends the browser to %s", callback)
	}
	back := p.get(callback).location(t)
	code := back.Query().Get("code")
	if !strings.HasPrefix(back.String(), w.redirect+"&") || back.Query().Get("state") != query.Get("state") || code == "" {
		t.Fatalf("the client gets %s", back)
	}
	w.MustNotLog(code)
	return code
}

func (w *world) post(t *testing.T, form url.Values) answer {
	t.Helper()
	a := newPerson(t).send("POST", w.base()+"/token", form.Encode())
	for _, name := range []string{"access_token", "refresh_token"} {
		if token := a.field(name); token != "" {
			w.MustNotLog(token)
		}
	}
	return a
}

func (w *world) redeeming(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {"acme"}, "client_secret": {secret}, "redirect_uri": {w.redirect}, "code": {code}}
}

func (w *world) refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"acme"}, "client_secret": {secret}, "refresh_token": {token}}
}

// tokens has the person sign in, and the client redeem the code.
func (w *world) tokens(t *testing.T, name string) answer {
	t.Helper()
	a := w.post(t, w.redeeming(w.code(t, newPerson(t), name, w.asked("st-"+rand.Text()))))
	if a.status != http.StatusOK || a.field("access_token") == "" || a.field("refresh_token") == "" {
		t.Fatalf("no tokens: %d %s", a.status, a.body)
	}
	return a
}

// api calls an API that wants a token with a user.
func (w *world) api(t *testing.T, token string) answer {
	t.Helper()
	return newPerson(t).get(w.URL("GATEWAY", "/api/x"), "Authorization", "Bearer "+token)
}

// mustWork holds that the token is one of that person's.
func (w *world) mustWork(t *testing.T, token, user string) {
	t.Helper()
	want := "hello acme " + user + " aal3 " + userScope + " urn:nhsd:apim:user-nhs-cis2:aal3:another"
	if a := w.api(t, token); a.status != http.StatusOK || a.body != want {
		t.Errorf("the API answers %d %s", a.status, a.body)
	}
}

func (w *world) mustNotWork(t *testing.T, token string) {
	t.Helper()
	if a := w.api(t, token); a.status != http.StatusUnauthorized {
		t.Errorf("the API answers %d %s", a.status, a.body)
	}
}

// assertion is a good one of a client, made by openssl.
func (w *world) assertion(t *testing.T, client string) string {
	t.Helper()
	return w.key.JWT(t, map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}, map[string]any{
		"iss": client, "sub": client, "aud": w.base() + "/token", "jti": rand.Text(), "exp": time.Now().Unix() + 240,
	})
}

// challenge is S256 of a verifier (RFC 7636 §4.2).
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
