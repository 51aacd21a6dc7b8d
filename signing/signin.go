package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/cookies"
	"github.com/seed-dd2befc3/countersign/store"
)

// SignIn has people sign in at an OpenID provider before the page opens a session to them
// (SIG-5.12: a real card behind an agent needs to know who is at the page).
type SignIn interface {
	// Begin is where the browser goes. It comes back to redirect with the state. What proves the way back derives from
	// the secret, which nobody knows: the browser keeps it sealed. Fresh has the provider ask who is there, also where it
	// remembers somebody.
	Begin(ctx context.Context, redirect, state, secret string, fresh bool) (string, error)
	// Finish returns who came back with this query. Only a sign-in of the user, with enough assurance, is remembered. An
	// ErrSignIn is that nobody signed in.
	Finish(ctx context.Context, redirect, state, secret, user string, query url.Values) (SignedIn, error)
	// Provider names the provider; a sign-in that began at another is not taken up.
	Provider() string
	// Holds says whether a sign-in still stands: the person may have logged out at the provider since.
	Holds(ctx context.Context, id string) (bool, error)
}

// SignedIn is a sign-in that is over.
type SignedIn struct {
	User  string // the user id
	Name  string // the person's own, as the provider tells it; may be empty
	Level int    // of authentication assurance; 0: the provider does not say
	Least int    // that is demanded
	ID    string // what Holds knows it by; empty: it is not remembered
}

// Errors of SignIn.Finish.
var (
	// ErrSignIn is what they unwrap to where nobody signed in.
	ErrSignIn = errors.New("nobody signed in")
	// ErrSignInDenied is one of them: the person would not.
	ErrSignInDenied = fmt.Errorf("%w: the person refused", ErrSignIn)
)

const signInPath = "/client/signed-in"

// signInState is a sign-in under way. The browser keeps it, sealed, while it is at the provider.
type signInState struct {
	Secret  string    `json:"secret"`
	Query   string    `json:"query"` // the page's own, as it came
	Expires time.Time `json:"expires"`
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
	if !found.waitsFor(held) {
		return nil
	}
	if stands, err := s.signedIn(r, base, found); err != nil || stands {
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
	if query == "" { // the rest of the page's address is in the session
		query = "token=" + held.token(found)
	}
	refused, mine := found.refusedIn(r, base)
	address, err := s.SignIn.Begin(r.Context(), base.String()+signInPath, state, secret, mine)
	if err != nil {
		return unavailable("the OpenID provider: " + err.Error())
	}
	if err := s.keepSignIn(w, r, base, state, signInState{secret, query, s.Now().Add(cookies.SignInLife)}); err != nil {
		return err
	}
	e := demandForSignIn(address)
	if mine {
		return s.explainRefusal(w, r, base, found, refused, query, e)
	}
	return e
}

// demandForSignIn sends a person to sign in.
func demandForSignIn(address string) *Error {
	e := failure(http.StatusForbidden, "sign_in", "Sign in as the person who is to sign, at the address in signInUri; it leads back here")
	e.SignIn = address
	return e
}

// keepSignIn has the browser keep a sign-in while it is at the provider.
func (s *Service) keepSignIn(w http.ResponseWriter, r *http.Request, base *url.URL, state string, kept signInState) error {
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	secret, err := s.signInSecret(r.Context())
	if err != nil {
		return err
	}
	sealed, err := cookies.Seal(secret, s.signInPurpose(base, state), text)
	if err != nil {
		return err
	}
	if err := cookies.KeepSignIn(w, r, base, signInID(state), sealed, cookies.SignInLife); err != nil {
		return badRequest("state", "The page's address is too long to come back to after a sign-in")
	}
	return nil
}

// keptSignIn is the sign-in with this state that the browser has kept, if it is still under way.
func (s *Service) keptSignIn(r *http.Request, base *url.URL, state string) (kept signInState, found bool, err error) {
	shown := cookies.SignIn(r, base, signInID(state))
	if s.SignIn == nil || shown == "" {
		return signInState{}, false, nil
	}
	secret, err := s.signInSecret(r.Context())
	if err != nil {
		return signInState{}, false, err
	}
	text, err := cookies.Open(secret, s.signInPurpose(base, state), shown)
	if err != nil || text == nil {
		return signInState{}, false, err
	}
	err = json.Unmarshal(text, &kept)
	return kept, err == nil && s.Now().Before(kept.Expires), err
}

func (s *Service) signInSecret(ctx context.Context) ([]byte, error) {
	secret, err := s.SealSignIns(ctx)
	if err != nil {
		return nil, unavailable("the key that seals sign-ins: " + err.Error())
	}
	return secret, nil
}

// signInPurpose is what a sign-in is sealed for: this state, which is new for each, this provider, and this site.
func (s *Service) signInPurpose(base *url.URL, state string) string {
	return "countersign page sign-in " + keyedHash(state, s.SignIn.Provider()+" "+base.String())
}

// signInID names the cookie of the sign-in with this state.
func signInID(state string) string { return keyedHash(state, "sign-in cookie")[:16] }

// signedIn says whether the person of a session has signed in in this browser, and not logged out since.
func (s *Service) signedIn(r *http.Request, base *url.URL, found *session) (bool, error) {
	if found.Person != signedInMark(r, base, found.ID) || found.SignIn == "" {
		return false, nil
	}
	return s.SignIn.Holds(r.Context(), found.SignIn)
}

// signedOut says that the page may show nothing of what is to be signed: nobody has signed in in this browser as the
// person of the session, or they have logged out since.
func (s *Service) signedOut(r *http.Request, base *url.URL, found *session) (bool, error) {
	if s.SignIn == nil {
		return false, nil
	}
	stands, err := s.signedIn(r, base, found)
	return !stands, err
}

// signedInMark is what a session keeps of a sign-in in this browser, whose cookie comes along when the provider sends it
// back.
func signedInMark(r *http.Request, base *url.URL, id string) string {
	return keyedHash(browserSecret(r, base), "signed in "+base.String()+" "+id)
}

// finishSignIn takes the browser back from the provider to the page, whoever has signed in: the page opens to the right
// person alone, and tells any other why not.
func (s *Service) finishSignIn(w http.ResponseWriter, r *http.Request) error {
	base, err := s.parsedBase(r)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["state"]) != 1 {
		return errNoSignIn()
	}
	state := query.Get("state")
	kept, under, err := s.keptSignIn(r, base, state)
	if err != nil {
		return err
	}
	if !under {
		return errNoSignIn()
	}
	cookies.ForgetSignIn(w, base, signInID(state)) // it is good once
	text, _ := rawParameter(kept.Query, "token")
	token, err := tokenOf(text)
	if err != nil || browserSecret(r, base) == "" {
		return errNoSession()
	}
	id := sessionID(token)
	found, _, err := s.sessions.get(r.Context(), id)
	if err != nil {
		return err
	}
	place, err := s.SignIns.Take(w, r)
	if err != nil {
		return leadsBack(unavailable("people who come back from the OpenID provider are as many as may be"), base.String()+"/client?"+kept.Query)
	}
	defer place.Release()
	came, err := s.SignIn.Finish(place.Context(), base.String()+signInPath, state, kept.Secret, found.Sub, query) //nolint:contextcheck // a place's context is the request's, and ends when the place is given up
	if err != nil && !errors.Is(err, ErrSignIn) {
		return leadsBack(unavailable("the OpenID provider: "+err.Error()), base.String()+"/client?"+kept.Query)
	}
	if reason := whyRefused(found, came, err); reason != "" {
		return s.refuseSignIn(w, r, base, found, refusal{code: reason, detail: detailOf(err)}, cameInstead{kept.Query, came})
	}
	held := claimOn(r, base, id)
	holder, err := held.sealName(came.Name, id)
	if err != nil {
		return err
	}
	_, err = s.sessions.change(r.Context(), id, func(current *session) ([]store.Op, error) {
		if !current.waitsFor(held) {
			return nil, errUnchanged
		}
		current.Person, current.SignIn, current.Refused = signedInMark(r, base, id), came.ID, nil
		current.Holder = holder
		return nil, nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return err
	}
	cookies.ForgetSignIn(w, base, refusalID(id))
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "person signed in at the page",
		slog.String("session", id), slog.String("client", found.Client), slog.String("request_id", w.Header().Get(headerRequestID)))
	w.Header().Set("Location", base.String()+"/client?"+kept.Query)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func errNoSignIn() *Error {
	return badRequest("sign_in_state", "There is no sign-in under way in this browser; start again from the system that sent you here")
}

// waitsFor says that a sign-in in a browser with this claim means something to the session: nobody has opened it, or this
// browser has and may sign.
func (s *session) waitsFor(held claim) bool {
	return s.State == StateCreated || s.State == StateOpened && held.holds(s)
}

// checkSignedIn holds a session that is about to be signed to the demand, which may be younger than the session.
func (s *Service) checkSignedIn(current *session) error {
	if s.SignIn != nil && current.Person == "" && !current.State.Over() {
		return failure(http.StatusForbidden, "sign_in", "Nobody has signed in for this request; start again from the system that sent you here")
	}
	return nil
}
