package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// The browser holds two kinds of cookie, both host-only and HttpOnly:
//
//   - one for the page itself, from which the page's CSRF value derives. It is Lax, so that a link from a client
//     system does not replace it while another tab is in use.
//   - one for each session that this browser opened, with the session's token and the secret that proves the
//     claim. It is Strict: only the page's own calls need it.
const (
	pageCookie    = "countersign-page"
	sessionCookie = "countersign-session-" // and the beginning of the session's id
	headerCSRF    = "X-CSRF-Token"
	maxCall       = 16 << 10 // bytes of one call from the page
	maxAnswer     = 1 << 20  // bytes of one that brings signatures
	secretSize    = 32
)

// call is what the page sends.
type call struct {
	ID    string `json:"id"`
	Token string `json:"token"`
	Query string `json:"query"` // the page's own query, as it came
	Way   int    `json:"way"`   // to sign: which of the session's ways to a card
	Job   string `json:"job"`   // to keep and answer: the run that is meant

	// What an agent on the person's machine returned, or why it did not.
	Certificate []byte      `json:"certificate"`
	Signatures  []signature `json:"signatures"`
	Failure     string      `json:"failure"`
}

// signature is one that an agent on the person's machine made.
type signature struct {
	ID        string `json:"id"`
	Signature []byte `json:"signature"`
}

// readCall reads a call of the page, if it is a call of the page: same origin, and with the page's CSRF value
// (SIG-2.7).
func (s *Service) readCall(w http.ResponseWriter, r *http.Request) (call, *url.URL, error) {
	return s.readCallOf(w, r, maxCall)
}

// readCallOf is readCall for calls of another size.
func (s *Service) readCallOf(w http.ResponseWriter, r *http.Request, limit int64) (read call, base *url.URL, err error) {
	if base, err = s.parsedBase(r); err != nil {
		return call{}, nil, err
	}
	if err = sameOrigin(r, base); err != nil {
		return call{}, nil, err
	}
	secret := cookieValue(r, pageCookie)
	if secret == "" || subtle.ConstantTimeCompare([]byte(r.Header.Get(headerCSRF)), []byte(csrfOf(secret))) != 1 {
		return call{}, nil, failure(http.StatusForbidden, "csrf",
			"This call does not come from the signing page as it was last loaded; reload the page")
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return call{}, nil, failure(http.StatusUnsupportedMediaType, "content_type", "The page's calls are application/json")
	}
	held := share{of: &s.bodies}
	defer held.release()
	body, err := s.readAll(w, r, limit, &held)
	if err != nil {
		return call{}, nil, err
	}
	if err := json.Unmarshal(body, &read, json.RejectUnknownMembers(true)); err != nil {
		return call{}, nil, badRequest("malformed", "A call of the page is one JSON object with id, or token and query")
	}
	return read, base, nil
}

func (s *Service) parsedBase(r *http.Request) (*url.URL, error) {
	text, err := s.BaseURL(r)
	if err != nil {
		return nil, err
	}
	return url.Parse(text)
}

// sameOrigin refuses what another site has caused. Browsers send Origin with every POST.
func sameOrigin(r *http.Request, base *url.URL) error {
	origin := originOf(base)
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Header.Get("Origin") != origin || (site != "" && site != "same-origin") {
		return failure(http.StatusForbidden, "origin",
			"Only the signing page itself may make this call, from the address that is configured as its public URL").
			because("Origin", origin, quoted(r.Header.Get("Origin")))
	}
	return nil
}

// originOf writes the origin of an address as browsers do (RFC 6454 §6.1): in lower case, without a default port.
func originOf(base *url.URL) string {
	host := strings.ToLower(base.Host)
	switch base.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return base.Scheme + "://" + host
}

// csrfOf derives the page's CSRF value from the page's cookie.
func csrfOf(secret string) string { return keyedHash(secret, "csrf") }

func keyedHash(secret, purpose string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("countersign " + purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Service) newSecret() (string, error) {
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(s.Rand, secret); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret), nil
}

func cookieValue(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

func newCookie(name, value string, base *url.URL, sameSite http.SameSite) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: base.Path + "/client", HttpOnly: true,
		Secure: base.Scheme == "https", SameSite: sameSite,
	}
}

// claim is this browser's hold on a session: the token, and the secret whose hash the session keeps.
type claim struct {
	token  uuid.UUID
	secret string
	caller Caller // who shows an access token besides; browsers show none
}

// newClaim derives the secret from the page's cookie, so that a browser that lost the answer to its claim makes
// the same one again.
func newClaim(r *http.Request, token uuid.UUID, caller Caller) claim {
	return claim{token: token, secret: keyedHash(cookieValue(r, pageCookie), "claim "+sessionID(token)), caller: caller}
}

func (c claim) cookie(id string, base *url.URL, gone, now time.Time) *http.Cookie {
	cookie := newCookie(sessionCookieName(id), c.secret+"."+c.token.String(), base, http.SameSiteStrictMode)
	cookie.MaxAge = max(int(gone.Sub(now)/time.Second), 1)
	return cookie
}

func sessionCookieName(id string) string {
	return sessionCookie + id[:min(len(id), 16)]
}

// claimOf reads the claim on a session from the browser's cookie; without one it holds nothing. A program that
// shows an access token with the page's call is held to its own sessions, as it is elsewhere (SIG-4.8).
func (s *Service) claimOf(r *http.Request, id string) (claim, error) {
	var held claim
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		var err error
		if held.caller, err = s.Access(r); err != nil {
			return claim{}, err
		}
	}
	secret, token, _ := strings.Cut(cookieValue(r, sessionCookieName(id)), ".")
	if parsed, err := uuid.Parse(token); err == nil && sessionID(parsed) == id {
		held.token, held.secret = parsed, secret
	}
	return held, nil
}

// none says that the browser claims nothing.
func (c claim) none() bool { return c.secret == "" }

// holds says whether the claim is on this session.
func (c claim) holds(of *session) bool {
	return !c.none() && of.Browser != "" &&
		subtle.ConstantTimeCompare([]byte(keyedHash(c.secret, "browser")), []byte(of.Browser)) == 1
}

// readHeldCall reads a call of the page about a session that this browser holds, as far as its cookie says.
func (s *Service) readHeldCall(w http.ResponseWriter, r *http.Request, limit int64) (call, claim, error) {
	read, _, err := s.readCallOf(w, r, limit)
	if err != nil {
		return call{}, claim{}, err
	}
	held, err := s.claimOf(r, read.ID)
	if err == nil && held.none() {
		err = errNoSession()
	}
	return read, held, err
}
