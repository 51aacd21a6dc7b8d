package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/cookies"
)

// One cookie holds one secret of this browser's for all of its sessions, at every signing service of the host. The
// page's CSRF value, the claim on a session and the mark of a sign-in derive from it, each bound to the public URL of
// the service (decision 0010).
//
// The cookie is Lax: the browser has to bring it along when the OpenID provider sends it back.
const (
	pageCookie = "countersign-page"
	pagePath   = "/client"
	secretSize = 32
	// cookieLife is how long a browser keeps its secret after it last opened a session. Most sessions are long gone
	// by then.
	cookieLife = 7 * 24 * time.Hour
)

// browserSecret is what the browser's cookie holds, or nothing.
func browserSecret(r *http.Request, base *url.URL) string {
	secret := cookies.Value(r, base, pageCookie)
	if len(secret) < secretSize {
		return ""
	}
	return secret
}

// keepSecret has the browser keep its secret for at least this long from now on.
func keepSecret(w http.ResponseWriter, base *url.URL, secret string, life time.Duration) {
	http.SetCookie(w, cookies.New(base, pagePath, pageCookie, secret, max(life, cookieLife)))
}

// giveSecret returns the browser's secret, and gives it one if it has none.
func (s *Service) giveSecret(w http.ResponseWriter, r *http.Request, base *url.URL) (string, error) {
	if secret := browserSecret(r, base); secret != "" {
		return secret, nil
	}
	secret, err := s.newSecret()
	if err == nil {
		keepSecret(w, base, secret, cookieLife)
	}
	return secret, err
}

// csrfOf derives the page's CSRF value.
func csrfOf(secret string, base *url.URL) string { return keyedHash(secret, "csrf "+base.String()) }

func keyedHash(secret, purpose string) string {
	return base64.RawURLEncoding.EncodeToString(mac([]byte(secret), "countersign "+purpose))
}

func mac(secret []byte, purpose string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(purpose)) // a hash never fails
	return h.Sum(nil)
}

func (s *Service) newSecret() (string, error) {
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(s.Rand, secret); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret), nil
}

// claim is what a browser can show for a session. Whether it holds the session is for the session to say, which keeps a
// hash of it.
type claim struct {
	secret string // derived from the browser's, for this session alone; empty: the browser has no cookie
	caller Caller // who shows an access token besides; browsers show none
}

// claimOn is the claim of this browser on a session. It is the same each time, so a browser that lost the answer
// to its claim can make it again.
func claimOn(r *http.Request, base *url.URL, id string) claim {
	secret := browserSecret(r, base)
	if secret == "" {
		return claim{}
	}
	return claim{secret: keyedHash(secret, "claim "+base.String()+" "+id)}
}

// claimOf is claimOn with the caller. A program that shows an access token with the page's call is held to its own
// sessions, as it is elsewhere (SIG-4.8).
func (s *Service) claimOf(r *http.Request, base *url.URL, id string) (claim, error) {
	if !isSessionID(id) {
		return claim{}, errNoSession()
	}
	held := claimOn(r, base, id)
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		var err error
		if held.caller, err = s.Access(r); err != nil {
			return claim{}, err
		}
	}
	return held, nil
}

// none says that the browser claims nothing.
func (c claim) none() bool { return c.secret == "" }

// mark is what a session keeps of a claim.
func (c claim) mark() string { return keyedHash(c.secret, "browser") }

// holds says whether the claim is on this session.
func (c claim) holds(of *session) bool {
	return !c.none() && of.Browser != "" && subtle.ConstantTimeCompare([]byte(c.mark()), []byte(of.Browser)) == 1
}

// take makes a session this browser's. The session keeps its token sealed, so that the browser need not keep one for
// each session: only the claim opens it.
func (c claim) take(current *session, token uuid.UUID) {
	current.Browser, current.Token = c.mark(), c.sealed(token, current.ID)
}

// token is the token of a session that the claim holds.
func (c claim) token(of *session) string {
	if token := c.sealed(of.Token, of.ID); sessionID(token) == of.ID {
		return token.String()
	}
	return "" // a session of an earlier release, or another's
}

// sealed seals a token, or opens one that is sealed.
func (c claim) sealed(token uuid.UUID, id string) uuid.UUID {
	return padded(token, []byte(c.secret), "page token "+id)
}

// sealName seals the name of the person who has signed in, so that only this browser opens it: the store tells nobody's
// name.
func (c claim) sealName(name, id string) (string, error) {
	if name = legible(name); name == "" || c.none() {
		return "", nil
	}
	return cookies.Seal([]byte(c.secret), namePurpose(id), []byte(name))
}

// openName is the name of the person who has signed in for a session, or nothing.
func (c claim) openName(of *session) string {
	if of.Holder == "" || c.none() {
		return ""
	}
	name, err := cookies.Open([]byte(c.secret), namePurpose(of.ID), of.Holder)
	if err != nil { // a key that cannot derive shows nothing
		return ""
	}
	return string(name)
}

func namePurpose(id string) string { return "countersign name of the person of session " + id }

// check is what every call of the page begins with that names a session.
func (c claim) check(current *session) error {
	if !c.caller.mayFetch(current) {
		return errForeign(current)
	}
	if !c.holds(current) {
		return errNoSession().withDetail("session %s is another browser's", current.ID)
	}
	return nil
}
