package mockopenid

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

const (
	codeLife  = time.Minute
	tokenLife = 10 * time.Minute
	maxForm   = 64 << 10
)

// sealed is the content of a code, an access token or a browser's sessions, which are its signed form.
type sealed struct {
	Kind      string            `json:"kind"` // code, token or sessions, so that none passes for another, or for an ID token
	Client    string            `json:"client,omitempty"`
	Person    string            `json:"person,omitempty"`
	SID       string            `json:"session,omitempty"`
	Sessions  map[string]string `json:"sessions,omitempty"` // by person
	Redirect  string            `json:"redirect,omitempty"`
	Nonce     string            `json:"nonce,omitempty"`
	Challenge string            `json:"challenge,omitempty"`
	Until     int64             `json:"until"`
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// view is the data of the page.
type view struct {
	Title, Lead, Action string
	Error               string // what was wrong with what was entered
	Form                bool   // a user id may be entered, and the person may refuse
	People              []Person
}

func (c *call) show(w http.ResponseWriter, status int, v view) {
	var out bytes.Buffer
	if err := page.Execute(&out, v); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

// fromClient refuses a request that does not come from a configured client.
func (c *call) fromClient(w http.ResponseWriter, values url.Values) bool {
	client, known := c.client(values.Get("client_id"))
	if !known || !slices.Contains(client.RedirectURIs, values.Get("redirect_uri")) {
		http.Error(w, "The mock provider knows no such client_id, or not this redirect_uri of it; add it to client in its part of the Caddyfile.", http.StatusBadRequest)
		return false
	}
	return true
}

// choose shows the people.
func (c *call) choose(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if !c.fromClient(w, query) {
		return
	}
	if query.Get("response_type") != "code" || !slices.Contains(strings.Fields(query.Get("scope")), "openid") ||
		query.Get("code_challenge") == "" || query.Get("code_challenge_method") != "S256" {
		c.sendBack(w, query, url.Values{"error": {"invalid_request"}, "error_description": {"response_type code, scope openid and PKCE with S256 are needed here"}})
		return
	}
	c.ask(w, http.StatusOK, query, "")
}

// ask shows the form of the real mock provider (TOK-8.15), and the people. All that is asked for stands in the form's
// address, so that a program has to send username alone.
func (c *call) ask(w http.ResponseWriter, status int, asked url.Values, wrong string) {
	kept := url.Values{}
	for _, name := range []string{"client_id", "redirect_uri", "state", "nonce", "code_challenge"} {
		kept.Set(name, asked.Get(name))
	}
	c.show(w, status, view{Title: "Who would you like to be?", Lead: "Choose a made-up person. Nothing is checked, and nothing you do here is real.",
		Action: c.base + "/authorize?" + kept.Encode(), Error: wrong, Form: true, People: c.People})
}

// chosen sends the browser back as the chosen person.
func (c *call) chosen(w http.ResponseWriter, r *http.Request) {
	if _, ok := readForm(w, r); !ok || !c.fromClient(w, r.Form) {
		return
	}
	form := r.Form // the address's too
	if form.Has("refuse") {
		c.sendBack(w, form, url.Values{"error": {"access_denied"}, "error_description": {"the made-up person refused"}})
		return
	}
	person, known := c.person(form.Get("username"))
	if !known {
		c.ask(w, http.StatusBadRequest, form, "The mock knows nobody with this user id.")
		return
	}
	here := c.sessions(r)
	sid := cmp.Or(here[person.ID], rand.Text())
	here[person.ID] = sid
	if err := c.keepSessions(w, here); err != nil {
		http.Error(w, "the sign-in cannot be kept", http.StatusInternalServerError)
		return
	}
	code, err := c.signer.Mint(sealed{
		Kind: "code", Client: form.Get("client_id"), Person: person.ID, SID: sid, Redirect: form.Get("redirect_uri"),
		Nonce: form.Get("nonce"), Challenge: form.Get("code_challenge"), Until: c.Now().Add(codeLife).Unix(),
	})
	if err != nil {
		http.Error(w, "no code could be made", http.StatusInternalServerError)
		return
	}
	c.sendBack(w, form, url.Values{"code": {code}})
}

func (c *call) sendBack(w http.ResponseWriter, asked, told url.Values) {
	told.Set("iss", c.base)
	if state := asked.Get("state"); state != "" {
		told.Set("state", state)
	}
	w.Header().Set("Location", with(asked.Get("redirect_uri"), told))
	w.WriteHeader(http.StatusFound)
}

// token turns a code into an ID token.
func (c *call) token(w http.ResponseWriter, r *http.Request) {
	form, ok := readForm(w, r)
	if !ok {
		return
	}
	client, known := c.client(form.Get("client_id"))
	secret := sha256.Sum256([]byte(form.Get("client_secret")))
	if right := sha256.Sum256([]byte(client.Secret)); !known || subtle.ConstantTimeCompare(secret[:], right[:]) != 1 {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	code, ok := c.unseal("code", form.Get("code"))
	challenge := sha256.Sum256([]byte(form.Get("code_verifier")))
	person, there := c.person(code.Person)
	if !ok || !there || form.Get("grant_type") != "authorization_code" || code.Client != client.ID || code.Redirect != form.Get("redirect_uri") ||
		code.Challenge != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	now := c.Now()
	idToken, err := c.signer.Mint(map[string]any{
		"iss": c.base, "aud": client.ID, "sub": person.ID, "sid": code.SID, "nonce": code.Nonce, "jti": rand.Text(),
		"iat": now.Unix(), "auth_time": now.Unix(), "exp": now.Add(tokenLife).Unix(), "amr": []string{"mock"},
		"authentication_assurance_level": levelText(person.Level), "acr": "MOCK",
	})
	if err == nil {
		code.Kind, code.Until = "token", now.Add(tokenLife).Unix()
		code.Redirect, code.Nonce, code.Challenge = "", "", ""
		var access string
		if access, err = c.signer.Mint(code); err == nil {
			writeJSON(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(tokenLife / time.Second), "id_token": idToken})
			return
		}
	}
	http.Error(w, "no token could be made", http.StatusInternalServerError)
}

func levelText(level int) string { return strconv.Itoa(level) }

// userInfo returns the person a token is about.
func (c *call) userInfo(w http.ResponseWriter, r *http.Request) {
	token, ok := c.unseal("token", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	person, known := c.person(token.Person)
	if !ok || !known {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"sub": person.ID, "name": person.Name, "nhsid_useruid": person.ID, "mock": true})
}

// unseal opens a code or token of the mock's own, if it is of that kind and still valid.
func (c *call) unseal(kind, text string) (what sealed, ok bool) {
	token, err := jwks.Parse([]byte(text))
	if err != nil || token.Verify(c.signer.Key()) != nil || token.Decode(&what) != nil {
		return sealed{}, false
	}
	return what, what.Kind == kind && c.Now().Unix() < what.Until
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return nil, false
	}
	return r.PostForm, true
}
