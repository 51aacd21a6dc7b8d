package oauth

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/cookies"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
)

const userScope = "urn:nhsd:apim:user-nhs-cis2:aal3:signing-service"

// stub is a Provider that says what the test has it say.
type stub struct {
	person  Person
	fails   error
	away    error  // why it cannot be reached
	way     SignIn // the last that a browser was sent
	redeems func() // is told of a code
	key     *jwks.Key
}

func (s *stub) Issuer() string   { return "https://op.example" }
func (s *stub) Name() string     { return "nhs-cis2" }
func (s *stub) ClientID() string { return "gateway" }
func (s *stub) Reach(context.Context) (string, int, error) {
	return "https://op.example/.well-known/openid-configuration", 0, s.away
}
func (s *stub) AuthCodeURL(_ context.Context, way SignIn) (string, error) {
	s.way = way
	return "https://op.example/authorize?" + url.Values{"state": {way.State}, "nonce": {way.Nonce}}.Encode(), s.fails
}
func (s *stub) Responds(context.Context, string) error { return nil }
func (s *stub) Redeem(context.Context, SignIn, string) (Person, error) {
	if s.redeems != nil {
		s.redeems()
	}
	return s.person, s.fails
}
func (s *stub) Key(context.Context, string) (*jwks.Key, error)   { return s.key, s.fails }
func (s *stub) Identify(context.Context, string) (Person, error) { return s.person, s.fails }

// userWorld is a world whose people sign in at a stub.
type userWorld struct {
	*world
	*Authorizer
	stub    *stub
	audit   *auditor
	cookies []*http.Cookie
}

func newUserWorld(t *testing.T) *userWorld {
	t.Helper()
	w := &userWorld{world: newWorld(t), audit: &auditor{}}
	w.stub = &stub{person: Person{Issuer: "https://op.example", User: "555086689106", SID: "sid-1", Level: 3, Info: []byte(`{"sub":"555086689106"}`)}}
	acme := w.Service.Clients["acme"]
	acme.Secret, acme.RedirectURIs, acme.Scopes = "s3cret", []string{"https://acme.example/in"}, append(acme.Scopes, userScope)
	w.Service.Clients["acme"] = acme
	w.Service.Providers, w.Service.Auditor = []Provider{w.stub}, w.audit
	var err error
	w.Authorizer, err = NewAuthorizer(Options{
		BaseURL: w.Service.BaseURL, Clients: w.Service.Clients, Store: w.store, Now: w.clock.Now,
	}, AuthorizerOptions{Provider: w.stub, Checker: w.check, Seal: sealed(1), RefuseBearer: func(rw http.ResponseWriter, _ *http.Request, err error) {
		http.Error(rw, err.Error(), http.StatusUnauthorized)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// browse has the one browser ask the authorizer.
func (w *userWorld) browse(path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, base+path, nil)
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/oauth2")
	for _, c := range w.cookies {
		r.AddCookie(c)
	}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	mustBeDescribed(w.t, r, recorder)
	for _, set := range recorder.Result().Cookies() {
		w.cookies = slices.DeleteFunc(w.cookies, func(c *http.Cookie) bool { return c.Name == set.Name })
		if set.MaxAge >= 0 {
			w.cookies = append(w.cookies, set)
		}
	}
	return recorder
}

// sealed is a secret to seal with.
func sealed(b byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{b}, 32), nil }
}

const asking = "/authorize?client_id=acme&redirect_uri=https%3A%2F%2Facme.example%2Fin&response_type=code&state=their%20state"

// back signs in, and returns what the client is sent.
func (w *userWorld) back(t *testing.T) url.Values {
	t.Helper()
	away, err := url.Parse(w.browse(asking).Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	state := away.Query().Get("state")
	if away.Query().Has("error") {
		return away.Query()
	}
	home, err := url.Parse(w.browse("/callback?code=x&state=" + state).Header().Get("Location"))
	if err != nil || home.Query().Get("state") != "their state" {
		t.Fatalf("the client is sent %s", home)
	}
	return home.Query()
}

func (w *userWorld) redeeming(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {"acme"}, "client_secret": {"s3cret"},
		"redirect_uri": {"https://acme.example/in"}, "code": {code}}
}

func (w *userWorld) redeem(code string) answer { return w.post(w.redeeming(code)) }

func (w *userWorld) refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"acme"}, "client_secret": {"s3cret"}, "refresh_token": {token}}
}

func (w *userWorld) refreshed(token any) answer { return w.post(w.refreshing(fmt.Sprint(token))) }

func TestAUsersTokens(t *testing.T) {
	w := newUserWorld(t)
	w.browse(asking)
	c := w.cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-countersign-login-") || c.MaxAge != 600 || !c.HttpOnly || !c.Secure || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %+v", c)
	}
	w.Service.TellSID = true
	got := w.redeem(w.back(t).Get("code"))
	if len(w.cookies) != 1 {
		t.Errorf("the browser keeps %d sign-ins after one that is over and one that is not", len(w.cookies))
	}
	if got.status != http.StatusOK || got.fields["sid"] != "sid-1" || got.fields["refresh_token_expires_in"] != "43199" || len(got.fields) != 7 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	grant, err := w.check.Check(t.Context(), "Bearer "+got.fields["access_token"].(string))
	if err != nil || grant.User != w.stub.person.User || grant.Level != "aal3" || len(grant.Scopes) != 2 || grant.Family == "" {
		t.Errorf("%+v %v", grant, err)
	}
	if len(w.audit.records) != 1 {
		t.Fatalf("%d records", len(w.audit.records))
	}
	if r := w.audit.records[0]; r.Grant != "authorization_code" || r.Level != "aal3" || r.Person == "" || r.Family != grant.Family || strings.Contains(fmt.Sprint(r), grant.User) {
		t.Errorf("record %+v", r)
	}
	w.clock.Add(600 * time.Second)
	if _, err := w.check.Check(t.Context(), "Bearer "+got.fields["access_token"].(string)); BearerCodeOf(err) != BearerExpired {
		t.Errorf("after its time: %v", err)
	}
}

// The times of TOK-5.1: a code's, and the window of refresh tokens, which is not restarted.
func TestTimesOfCodesAndRefreshTokens(t *testing.T) {
	w := newUserWorld(t)
	code := w.back(t).Get("code")
	w.clock.Add(codeLife)
	mustRefuse(t, w.redeem(code), row{400, "invalid_grant", "authorization_code is invalid"})

	got := w.redeem(w.back(t).Get("code"))
	for range 6 { // of two hours less a little each, which is less than the window
		w.clock.Add(2*time.Hour - time.Second)
		if got = w.refreshed(got.fields["refresh_token"]); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if got.fields["refresh_count"] != "6" || got.fields["refresh_token_expires_in"] != "5" {
		t.Errorf("%s", got.body)
	}
	last := got.fields["refresh_token"]
	w.clock.Add(5 * time.Second)
	over := row{401, "invalid_grant", "refresh token refresh period has expired"}
	mustRefuse(t, w.refreshed(last), over)
	w.clock.Add(time.Hour)
	mustRefuse(t, w.refreshed(last), over)
	if away := w.browse(asking); away.Code != http.StatusFound {
		t.Fatal(away.Code)
	}
	login, _ := url.Parse(w.browse(asking).Header().Get("Location"))
	w.clock.Add(cookies.SignInLife)
	mustSay(t, w.browse("/callback?code=x&state="+login.Query().Get("state")), 400, "Invalid state parameter.")
}

func mustSay(t *testing.T, got *httptest.ResponseRecorder, status int, part string) {
	t.Helper()
	if got.Code != status || !strings.Contains(got.Body.String(), part) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// A provider or a store that is away is no refusal of the person's.
func TestWhatIsAwayIsToldAsAway(t *testing.T) {
	w := newUserWorld(t)
	w.stub.fails = fmt.Errorf("no route to host")
	if back := w.back(t); back.Get("error") != "temporarily_unavailable" {
		t.Errorf("the provider cannot be discovered: %v", back)
	}
	w.stub.fails = nil
	away, _ := url.Parse(w.browse(asking).Header().Get("Location"))
	w.stub.fails = fmt.Errorf("no route to host")
	home, _ := url.Parse(w.browse("/callback?code=x&state=" + away.Query().Get("state")).Header().Get("Location"))
	if home.Query().Get("error") != "temporarily_unavailable" || home.Query().Get("state") != "their state" {
		t.Errorf("its token endpoint is away: %v", home)
	}
	w.stub.fails = fmt.Errorf("%w: no", ErrDenied)
	away, _ = url.Parse(w.browse(asking).Header().Get("Location"))
	if away.Query().Get("error") != "temporarily_unavailable" {
		t.Errorf("%v", away)
	}
	w.stub.fails = nil
	code := w.back(t).Get("code")
	w.store.fail(store.ErrUnavailable)
	if a := w.redeem(code); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("the store is away: %d %s", a.status, a.body)
	}
	callback := w.began(t) // which takes no store
	mustSay(t, w.browse(callback), 503, "Retry-After")
	w.store.fail(nil)
	if home := w.browse(callback); home.Code != http.StatusFound || strings.Contains(home.Header().Get("Location"), "error") {
		t.Errorf("the store is back, and the person is sent to %s", home.Header().Get("Location"))
	}
	if a := w.redeem(code); a.status != http.StatusOK {
		t.Errorf("the store is back: %d %s", a.status, a.body)
	}
	w.audit.err = fmt.Errorf("disk full")
	if a := w.redeem(w.back(t).Get("code")); a.status != http.StatusServiceUnavailable || a.fields["access_token"] != nil {
		t.Errorf("it cannot be recorded: %d %s", a.status, a.body)
	}
}

// The store holds no secret, and so whoever reads it can use none.
func TestTheStoreHoldsNoSecretOfASignIn(t *testing.T) {
	w := newUserWorld(t)
	spied := &spy{Store: w.store}
	w.Service.Store, w.Store = spied, spied
	w.browse(asking)
	kept := w.cookies[0].Value
	code := w.back(t).Get("code")
	got := w.redeem(code)
	next := w.refreshed(got.fields["refresh_token"])
	secrets := []string{code, kept, w.stub.way.Verifier, w.stub.way.State, fmt.Sprint(got.fields["access_token"]), fmt.Sprint(got.fields["refresh_token"]), fmt.Sprint(next.fields["refresh_token"])}
	for _, secret := range secrets {
		if len(secret) < 28 || strings.Contains(string(spied.seen), secret) {
			t.Errorf("the store was given %q", secret)
		}
	}
	if !strings.Contains(string(spied.seen), "refresh/") {
		t.Error("the store was given nothing")
	}
}

// A level has its own scopes and no others', whatever stands before it (TOK-7.1, TOK-7.2).
func TestScopesOfALevel(t *testing.T) {
	scopes := []string{
		"urn:nhsd:apim:user-nhs-cis2:aal1:a", "urn:nhsd:apim:user-nhs-id:aal2:b", "urn:nhsd:apim:user-nhs-cis2:aal3:c", "urn:nhsd:apim:user-nhs-id:aal3:d",
		"urn:nhsd:apim:user-nhs-cis2:aal4:e", "urn:nhsd:apim:user-nhs-cis2:aal03:f", "urn:nhsd:apim:user-nhs-cis2:aal:g", "urn:nhsd:apim:app:level3:h",
		"urn:nhsd:apim:user-nhs-cis2:aal3", "aal3:i",
	}
	for level, want := range [][]string{nil, scopes[:1], scopes[1:2], scopes[2:4], nil} {
		if got := userScopes(scopes, level); !slices.Equal(got, want) {
			t.Errorf("level %d: got %v, want %v", level, got, want)
		}
	}
}

// A sign-in whose level none of the client's scopes takes is told here, not to the client, and leaves nothing (TOK-7.3).
func TestALevelWithoutAScope(t *testing.T) {
	w := newUserWorld(t)
	for _, level := range []int{0, 1, 2} {
		w.stub.person.Level = level
		got := w.browse(w.began(t))
		if got.Header().Get("Location") != "" || len(w.cookies) != 0 {
			t.Errorf("level %d: the browser is sent to %s and keeps %v", level, got.Header().Get("Location"), w.cookies)
		}
		mustSay(t, got, 401, `"unauthorized_client","error_description":"you have tried to request authorization but`)
	}
	if all := w.records(t); len(all) > 0 {
		t.Errorf("the store has %v", all)
	}
}

// A product that was taken away between code and token, or since, is told as one that never was (TOK-8.3), and spends
// nothing.
func TestAProductThatWasTakenAway(t *testing.T) {
	w := newUserWorld(t)
	acme := w.Service.Clients["acme"]
	without := acme
	without.Scopes = []string{signingScope, "urn:nhsd:apim:user-nhs-cis2:aal2:signing-service"}
	away := row{401, "access_denied", "API Key supplied does not have access to this resource. Please check the API Key you are using belongs to an app which has sufficient access to access this resource."}
	code := w.back(t).Get("code")
	w.Service.Clients["acme"] = without
	mustRefuse(t, w.redeem(code), away)
	w.Service.Clients["acme"] = acme
	got := w.redeem(code)
	w.Service.Clients["acme"] = without
	mustRefuse(t, w.refreshed(got.fields["refresh_token"]), away)
	w.Service.Clients["acme"] = acme
	if got = w.refreshed(got.fields["refresh_token"]); got.status != http.StatusOK {
		t.Errorf("with the product again: %d %s", got.status, got.body)
	}
}

// The provider's session is told with the first tokens alone, and only where the operator wants it (TOK-5.12).
func TestTheSessionIsToldWhereItIsWanted(t *testing.T) {
	w := newUserWorld(t)
	for _, wanted := range []bool{false, true} {
		w.Service.TellSID = wanted
		got := w.redeem(w.back(t).Get("code"))
		again := w.refreshed(got.fields["refresh_token"])
		if _, told := got.fields["sid"]; told != wanted || got.status != http.StatusOK {
			t.Errorf("wanted %v: the answer to a code is %s", wanted, got.body)
		}
		if _, told := again.fields["sid"]; told || again.status != http.StatusOK {
			t.Errorf("wanted %v: the answer to a refresh is %s", wanted, again.body)
		}
	}
}

// What a client asks of the provider is passed on, within bounds (TOK-8.2).
func TestACRValues(t *testing.T) {
	w := newUserWorld(t)
	for _, c := range []struct{ query, passed, refused string }{
		{"", "", ""},
		{"&acr_values=AAL2_ANY+AAL3_ANY", "AAL2_ANY AAL3_ANY", ""},
		{"&acr_values=" + strings.Repeat("A", maxACR), strings.Repeat("A", maxACR), ""},
		{"&acr_values=" + strings.Repeat("A", maxACR+1), "", "acr_values is too long"},
		{"&acr_values=a&acr_values=b", "", "acr_values is given more than once"},
	} {
		w.stub.way = SignIn{}
		to, err := url.Parse(w.browse(asking + c.query).Header().Get("Location"))
		if err != nil || to.Query().Get("error_description") != c.refused || w.stub.way.ACR != c.passed {
			t.Errorf("%.30s: sent to %s with acr_values %q, want %q", c.query, to, w.stub.way.ACR, c.passed)
		}
	}
}
