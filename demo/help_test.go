package demo

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// memoryVault keeps keys in a map.
type memoryVault struct {
	mu    sync.Mutex // guards files
	held  sync.Mutex // Lock and Unlock
	files map[string][]byte
	saves int
	fail  int           // so many Loads fail
	gate  chan struct{} // not nil: Load waits until it is closed
}

func (v *memoryVault) Load(_ context.Context, name string) ([]byte, error) {
	if v.gate != nil {
		<-v.gate
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail > 0 {
		v.fail--
		return nil, io.ErrUnexpectedEOF
	}
	data, ok := v.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (v *memoryVault) Save(_ context.Context, name string, data []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files == nil {
		v.files = map[string][]byte{}
	}
	v.files[name], v.saves = data, v.saves+1
	return nil
}

func (v *memoryVault) Lock(context.Context, string) error   { v.held.Lock(); return nil }
func (v *memoryVault) Unlock(context.Context, string) error { v.held.Unlock(); return nil }

// service is a small Signing Service that really signs. Its page signs at once and sends the browser back.
type service struct {
	t           *testing.T
	key         *rsa.PrivateKey
	certificate string
	demoKeys    func() string // the demo's key set

	mu       sync.Mutex
	sessions map[string]*session // by token
	jwts     []string            // every one received
	opened   string              // query of the last page that was opened

	drop   int // so many requests are taken but not answered
	refuse func(http.ResponseWriter, *http.Request) bool
	change func(*answer)         // what it does to an answer
	back   func(back url.Values) // what it does to the way back
}

type session struct {
	jwt, state string
	claims     requestClaims
}

type requestClaims struct {
	Iss, Sub, Aud, Algorithm string
	Iat, Exp                 int64
	Payloads                 []struct{ ID, Payload string }
}

type signature struct {
	ID        string `json:"id"`
	Signature string `json:"signature"`
}

type answer struct {
	Signatures  []signature `json:"signatures"`
	Certificate string      `json:"certificate"`
}

func newService(t *testing.T) *service {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "555086689106_MOCK", Locality: []string{"Mock <card>"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &service{t: t, key: key, certificate: base64.StdEncoding.EncodeToString(der), sessions: map[string]*session{}}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil && s.refuse(w, r) {
		return
	}
	switch token, isResponse := strings.CutPrefix(r.URL.Path, "/signatureresponse/"); {
	case r.Method == http.MethodPost && r.URL.Path == "/signaturerequest":
		s.take(w, r)
	case r.URL.Path == "/client":
		s.opened = r.URL.RawQuery
		found := s.sessions[r.URL.Query().Get("token")]
		if found == nil {
			http.NotFound(w, r)
			return
		}
		back := url.Values{"token": {r.URL.Query().Get("token")}, "state": {found.state}}
		if s.back != nil {
			s.back(back)
		}
		http.Redirect(w, r, "/demo/signed?"+back.Encode(), http.StatusSeeOther)
	case isResponse && s.sessions[token] != nil:
		s.release(w, s.sessions[token].claims)
	default:
		http.NotFound(w, r)
	}
}

// with lets a test look at the service, or change it, between requests.
func (s *service) with(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// sent counts the requests that arrived.
func (s *service) sent() (n int) {
	s.with(func() { n = len(s.jwts) })
	return n
}

// ways are the ways back of all sessions.
func (s *service) ways() (paths []url.Values) {
	s.with(func() {
		for token, session := range s.sessions {
			paths = append(paths, url.Values{"token": {token}, "state": {session.state}})
		}
	})
	return paths
}

// take checks a request as the real service does and answers with its token, the same for the same JWT.
func (s *service) take(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	jwt := string(body)
	s.jwts = append(s.jwts, jwt)
	claims := s.verify(jwt)
	if claims.Aud != "http://"+r.Host+"/signing-service" || claims.Iss != "demo-epr" || claims.Exp != claims.Iat+600 {
		s.t.Errorf("claims %+v", claims)
	}
	token := ""
	for known, session := range s.sessions {
		if session.jwt == jwt {
			token = known
		}
	}
	if token == "" {
		token = uuid.NewString()
		s.sessions[token] = &session{jwt, r.URL.Query().Get("state"), claims}
	}
	if s.drop > 0 {
		s.drop--
		panic(http.ErrAbortHandler)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{
		"token":       token,
		"redirectUri": "http://" + r.Host + "/signing-service/client?token=" + token + "&state=" + r.URL.Query().Get("state"),
	})
}

// verify checks the JWT with the key that the demo publishes.
func (s *service) verify(jwt string) (claims requestClaims) {
	var set struct {
		Keys []struct{ Kty, Kid, Alg, Use, N, E, D string }
	}
	if err := json.Unmarshal([]byte(s.demoKeys()), &set); err != nil || len(set.Keys) != 1 {
		s.t.Errorf("key set %s: %v", s.demoKeys(), err)
		return claims
	}
	published := set.Keys[0]
	if published.Kty != "RSA" || published.Kid != "demo-epr-1" || published.Alg != "RS512" || published.Use != "sig" || published.D != "" {
		s.t.Errorf("published %+v", published)
	}
	raw := func(text string) []byte {
		data, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			s.t.Error(err)
		}
		return data
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(raw(published.N)), E: int(new(big.Int).SetBytes(raw(published.E)).Int64())}
	parts := strings.Split(jwt, ".")
	sum := sha512.Sum512([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA512, sum[:], raw(parts[2])); err != nil {
		s.t.Error(err)
	}
	if err := json.Unmarshal(raw(parts[1]), &claims); err != nil {
		s.t.Error(err)
	}
	return claims
}

// release signs all payloads and answers with them.
func (s *service) release(w http.ResponseWriter, claims requestClaims) {
	out := answer{Certificate: s.certificate}
	for _, p := range claims.Payloads {
		payload, err := base64.StdEncoding.DecodeString(p.Payload)
		if err != nil {
			s.t.Error(err)
		}
		hash, sum := crypto.SHA256, sha256.Sum256(payload)
		digest := sum[:]
		if claims.Algorithm == "RS1" {
			short := sha1.Sum(payload)
			hash, digest = crypto.SHA1, short[:]
		}
		signed, err := rsa.SignPKCS1v15(nil, s.key, hash, digest)
		if err != nil {
			s.t.Error(err)
		}
		out.Signatures = append(out.Signatures, signature{p.ID, base64.StdEncoding.EncodeToString(signed)})
	}
	if s.change != nil {
		s.change(&out)
	}
	_ = json.NewEncoder(w).Encode(out)
}

// site is a demo and a service behind one address, and a browser.
type site struct {
	*httptest.Server
	demo    *Demo
	service *service
	browser *http.Client
}

func newDemo(t *testing.T, o Options) *Demo {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.keyBits = 2048
	t.Cleanup(d.Close)
	return d
}

func newSite(t *testing.T, o Options) *site {
	t.Helper()
	if o.Vault == nil {
		o.Vault = &memoryVault{}
	}
	s := &site{demo: newDemo(t, o), service: newService(t)}
	mux := http.NewServeMux()
	mux.Handle("/demo/", http.StripPrefix("/demo", s.demo))
	mux.Handle("/signing-service/", http.StripPrefix("/signing-service", s.service))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	s.service.demoKeys = func() string {
		w := httptest.NewRecorder()
		s.demo.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/jwks.json", nil))
		return w.Body.String()
	}
	s.browser = newBrowser(t)
	s.demo.Start(t.Context())
	waitFor(t, func() bool { return s.demo.key.Load() != nil || o.Vault.(*memoryVault).gate != nil })
	return s
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: time.Minute}
}

func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !ready(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the condition was not met within a minute")
		}
	}
}

// press fills in the form and presses a button, as a browser on the demo's page.
func (s *site) press(t *testing.T, change func(form url.Values, h http.Header)) (int, string) {
	t.Helper()
	form := url.Values{"count": {"3"}, "sub": {"555086689106"}, "algorithm": {"RS256"}}
	header := http.Header{
		"Content-Type":   {"application/x-www-form-urlencoded"},
		"Origin":         {s.URL},
		"Sec-Fetch-Site": {"same-origin"},
	}
	if change != nil {
		change(form, header)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/demo/sign", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	return s.do(t, req)
}

func (s *site) get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, req)
}

func (s *site) do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := s.browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func expect(t *testing.T, page string, words ...string) {
	t.Helper()
	if missing := slices.DeleteFunc(words, func(w string) bool { return strings.Contains(page, w) }); len(missing) > 0 {
		t.Errorf("want %q in the page, got\n%s", missing, page)
	}
}
