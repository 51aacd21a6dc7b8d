package signing

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// SignIn has people sign in at an OpenID provider before the page opens a session to them
// (SIG-5.12: a real card behind an agent needs to know who is at the page).
type SignIn interface {
	// Begin is where the browser goes. It comes back to redirect with the state. The secret is known to this browser
	// alone; what proves the way back derives from it.
	Begin(ctx context.Context, redirect, state, secret string) (string, error)
	// Finish returns who came back with this query. An ErrSignIn is a refusal.
	Finish(ctx context.Context, redirect, state, secret string, query url.Values) (SignedIn, error)
	// Holds says whether a sign-in still stands: the person may have logged out at the provider since.
	Holds(ctx context.Context, name string) (bool, error)
}

// SignedIn is a sign-in that is over.
type SignedIn struct {
	User string // the user id
	Name string // what Holds knows it by; it is no secret
}

// ErrSignIn is what Finish's errors unwrap to where nobody signed in, or nobody with enough assurance.
var ErrSignIn = errors.New("the sign-in was refused")

const (
	signInCookie = "countersign-sign-in"
	signInTime   = 10 * time.Minute // for a person to sign in
	signInPath   = "/client/signed-in"
	maxSignIn    = 3500 // bytes of the cookie, of which browsers keep 4096
)

// errand is what the browser itself keeps while it is at the provider: where it comes back from and where it was.
type errand struct {
	State  string `json:"state"`
	Secret string `json:"secret"`
	Query  string `json:"query"` // the page's own, as it came
}

// demandSignIn refuses to open or sign a session in a browser whose person has not signed in as the one who is to
// sign, or has logged out at the provider since, and tells it where to go. Whether the session can be opened or signed
// at all is for others to say; one that is being signed, or is over, is left alone.
func (s *Service) demandSignIn(w http.ResponseWriter, r *http.Request, base *url.URL, id string, held claim, query string) error {
	if s.SignIn == nil {
		return nil
	}
	found, _, err := s.sessions.get(r.Context(), id)
	if err != nil {
		return err
	}
	if found.State != StateCreated && (found.State != StateOpened || !held.holds(found)) {
		return nil
	}
	if stands, err := s.signedIn(r, found); err != nil || stands {
		return err
	}
	state, err := s.newSecret()
	if err != nil {
		return err
	}
	secret, err := s.newSecret()
	if err != nil {
		return err
	}
	kept, err := json.Marshal(errand{state, secret, query})
	if err != nil {
		return err
	}
	cookie := newCookie(signInCookie, base64.RawURLEncoding.EncodeToString(kept), base, http.SameSiteLaxMode)
	if cookie.MaxAge = int(signInTime / time.Second); len(cookie.Value) > maxSignIn {
		return badRequest("state", "The page's address is too long to come back to after a sign-in")
	}
	address, err := s.SignIn.Begin(r.Context(), base.String()+signInPath, state, secret)
	if err != nil {
		return unavailable("the OpenID provider: " + err.Error())
	}
	http.SetCookie(w, cookie)
	e := failure(http.StatusForbidden, "sign_in", "Sign in as the person who is to sign, at the address in signInUri; it leads back here")
	e.SignIn = address
	return e
}

// signedIn says whether the person of a session has signed in in this browser, and not logged out since.
func (s *Service) signedIn(r *http.Request, found *session) (bool, error) {
	if found.Person != signedInMark(r, found.ID) || found.SignIn == "" {
		return false, nil
	}
	return s.SignIn.Holds(r.Context(), found.SignIn)
}

// pageQuery leads back to the page of a session that this browser holds; the rest of its address is in the session.
func pageQuery(held claim) string { return "token=" + held.token.String() }

// signedInMark is what a session keeps of a sign-in in this browser, whose page cookie goes along when the provider
// sends it back.
func signedInMark(r *http.Request, id string) string {
	return keyedHash(cookieValue(r, pageCookie), "signed in "+id)
}

// finishSignIn takes the browser back from the provider. The right person goes on to the page; any other, and who
// refused, to the client system, which is told that access was denied. The session waits either way.
func (s *Service) finishSignIn(w http.ResponseWriter, r *http.Request) error {
	base, err := s.parsedBase(r)
	if err != nil {
		return err
	}
	kept, ok := readErrand(r)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if s.SignIn == nil || !ok || err != nil || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(kept.State)) != 1 || len(query["state"]) > 1 {
		return badRequest("sign_in_state", "There is no sign-in under way in this browser; start again from the system that sent you here")
	}
	gone := newCookie(signInCookie, "", base, http.SameSiteLaxMode)
	gone.MaxAge = -1
	http.SetCookie(w, gone) // it is good once
	text, _ := rawParameter(kept.Query, "token")
	token, err := tokenOf(text)
	if err != nil || cookieValue(r, pageCookie) == "" {
		return errNoSession()
	}
	id := sessionID(token)
	person, err := s.SignIn.Finish(r.Context(), base.String()+signInPath, kept.State, kept.Secret, query)
	if err != nil && !errors.Is(err, ErrSignIn) {
		return unavailable("the OpenID provider: " + err.Error())
	}
	found, _, finding := s.sessions.get(r.Context(), id)
	if finding != nil {
		return finding
	}
	if err != nil || person.User != found.Sub {
		return s.refuseSignIn(w, r, found, kept, token.String(), err)
	}
	_, err = s.sessions.change(r.Context(), id, func(current *session) ([]store.Op, error) {
		if current.State != StateCreated && (current.State != StateOpened || !newClaim(r, token, Caller{}).holds(current)) {
			return nil, errUnchanged
		}
		current.Person, current.SignIn = signedInMark(r, id), person.Name
		return nil, nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return err
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "person signed in at the page",
		slog.String("session", id), slog.String("client", found.Client), slog.String("request_id", w.Header().Get(headerRequestID)))
	w.Header().Set("Location", base.String()+"/client?"+kept.Query)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// readErrand reads what the browser has kept.
func readErrand(r *http.Request) (kept errand, ok bool) {
	shown := r.CookiesNamed(signInCookie)
	if len(shown) != 1 {
		return kept, false
	}
	text, err := base64.RawURLEncoding.DecodeString(shown[0].Value)
	return kept, err == nil && json.Unmarshal(text, &kept) == nil && len(kept.State) >= secretSize && len(kept.Secret) >= secretSize
}

// refuseSignIn sends the browser back to the client system.
func (s *Service) refuseSignIn(w http.ResponseWriter, r *http.Request, found *session, kept errand, token string, why error) error {
	reason := "another person signed in than the one who is to sign"
	if why != nil {
		reason = why.Error()
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "request refused",
		slog.String("endpoint", signInPath), slog.String("client", found.Client), slog.String("code", "access_denied"),
		slog.Int("status", http.StatusSeeOther), slog.String("check", "sign_in"), slog.String("answer", "the sign-in was refused"),
		slog.String("detail", reason), slog.String("request_id", w.Header().Get(headerRequestID)))
	if found.Carried == "" {
		found.Carried, _ = stateOf(kept.Query)
	}
	back := s.wayBackWith(found, token, "access_denied", "sign_in")
	if back == "" {
		return errNoSession().withDetail("its client is no longer configured")
	}
	w.Header().Set("Location", back)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// checkSignedIn holds a session that is about to be signed to the demand, which may be younger than the session.
func (s *Service) checkSignedIn(current *session) error {
	if s.SignIn != nil && current.Person == "" && !current.State.Over() {
		return failure(http.StatusForbidden, "sign_in", "Nobody has signed in for this request; start again from the system that sent you here")
	}
	return nil
}
