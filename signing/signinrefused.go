package signing

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/cookies"
	"github.com/seed-dd2befc3/countersign/store"
)

// A sign-in that does not open the page changes nothing about who may sign: the session waits, in the same browser or in
// another, until it is signed, cancelled or expired. The page says why it does not open, and offers another sign-in. What
// the client system is told is the reason, wherever it asks, and the way in which the session ends:
//
//	created or opened ──a sign-in that does not count──▶ the same, with the reason
//	                  ──the right person signs in──────▶ the same, without it
//	                  ──cancelled in that browser──────▶ cancelled, for that reason
//	                  ──not signed in time─────────────▶ expired, for that reason
//
// Who came is told to that browser alone, which keeps it itself, sealed. The store keeps no more than the reason; the
// audit log has the user id.

// refusedSignIn is what a session keeps of the last sign-in that did not count.
type refusedSignIn struct {
	Reason  string `json:"reason"`
	Browser string `json:"browser"` // hash of the one in which it was tried
}

// cameInstead is what a browser keeps of such a sign-in, sealed.
type cameInstead struct {
	Query    string `json:"query"` // the page's own, as it came
	SignedIn `json:"came"`
}

// wantedSignIn tells the page who is needed, and who came.
type wantedSignIn struct {
	Session string `json:"session"`
	Client  string `json:"client"`
	Sub     string `json:"sub,omitempty"`  // who is to sign; told once somebody has signed in
	User    string `json:"user,omitempty"` // who signed in
	Name    string `json:"name,omitempty"` // as the provider tells it
	Level   int    `json:"level,omitzero"` // of their sign-in
	Least   int    `json:"least,omitzero"` // that is demanded
}

// whyRefused is the reason why a sign-in does not count, or nothing.
func whyRefused(of *session, came SignedIn, err error) string {
	switch {
	case errors.Is(err, ErrSignInDenied):
		return reasonSignInDenied
	case err != nil:
		return reasonSignInFailed
	case came.User != of.Sub:
		return reasonWrongUser
	case came.Level < came.Least:
		return reasonLevel
	}
	return ""
}

// refusedIn is the reason why the last sign-in did not count; mine says that it was tried in this browser.
func (s *session) refusedIn(r *http.Request, base *url.URL) (reason string, mine bool) {
	if s.Refused == nil || browserSecret(r, base) == "" || s.Refused.Browser != signedInMark(r, base, s.ID) {
		return "", false
	}
	return s.Refused.Reason, true
}

// refuseSignIn notes why a sign-in does not count, and sends the browser back to the page.
func (s *Service) refuseSignIn(w http.ResponseWriter, r *http.Request, base *url.URL, found *session, why refusal, came cameInstead) error {
	waits := false
	noted, err := s.sessions.change(r.Context(), found.ID, func(current *session) ([]store.Op, error) {
		now := refusedSignIn{Reason: why.code, Browser: signedInMark(r, base, current.ID)}
		waits = current.waitsFor(claimOn(r, base, current.ID))
		if !waits || current.Refused != nil && *current.Refused == now {
			return nil, errUnchanged
		}
		current.Refused = &now
		current.Person, current.SignIn, current.Holder = "", "", "" // whoever signed in here before is not who is here now
		return nil, nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return err
	}
	if waits {
		if err := s.keepRefusal(w, r, base, noted, came); err != nil {
			return err
		}
	}
	if came.User != "" { // else anybody with the link could fill the log
		s.auditRefusedSignIn(r.Context(), found, why.code, came.User)
	}
	e := failure(http.StatusSeeOther, why.code, "%s", reasonFor(why.code).Title)
	e.to = base.String() + "/client?session=" + found.ID
	e.finding = Finding{Client: found.Client, Detail: why.detail}
	switch why.code {
	case reasonWrongUser:
		e.finding.Expected, e.finding.Got = "the person of the request", "another person"
	case reasonLevel:
		e.finding.Expected, e.finding.Got = "level "+strconv.Itoa(came.Least), "level "+strconv.Itoa(came.Level)
	}
	return e
}

// explainRefusal adds to a demand for a sign-in why the last one in this browser did not count.
func (s *Service) explainRefusal(w http.ResponseWriter, r *http.Request, base *url.URL, found *session, reason, query string, e *Error) error {
	came, err := s.keptRefusal(r, base, found.ID)
	if err == nil && came.Query == "" { // it had to make room in the browser
		came.Query = query
		err = s.keepRefusal(w, r, base, found, came)
	}
	if err != nil {
		return err
	}
	e.Reason = reasonFor(reason)
	e.wanted = wanted(found, s.clientName(found.Client), came.SignedIn)
	return e
}

// wanted says who is needed for a session, and who came.
func wanted(of *session, client string, came SignedIn) *wantedSignIn {
	if came.User == "" {
		return &wantedSignIn{Session: of.ID, Client: client}
	}
	return &wantedSignIn{Session: of.ID, Client: client, Sub: of.Sub, User: came.User, Name: came.Name, Level: came.Level, Least: came.Least}
}

// cancelRefused has a browser, in which the last sign-in did not count, claim the session that it is about to cancel, so
// that it can go on looking at it.
func (c claim) cancelRefused(current *session, came cameInstead) error {
	if current.State != StateCreated || current.Browser != "" || c.none() {
		return nil
	}
	text, _ := rawParameter(came.Query, "token")
	token, err := tokenOf(text)
	if err != nil || sessionID(token) != current.ID {
		return nil //nolint:nilerr // it has no link to this session, and claims none
	}
	if current.Carried == "" {
		if current.Carried, err = stateOf(came.Query); err != nil {
			return err
		}
	}
	c.take(current, token)
	return nil
}

// keepRefusal has the browser keep who came, until the session can be signed no more.
func (s *Service) keepRefusal(w http.ResponseWriter, r *http.Request, base *url.URL, of *session, came cameInstead) error {
	came.Name = legible(came.Name)
	text, err := json.Marshal(came)
	if err != nil {
		return err
	}
	secret, err := s.signInSecret(r.Context())
	if err != nil {
		return err
	}
	sealed, err := cookies.Seal(secret, s.refusalPurpose(r, base, of.ID), text)
	if err != nil {
		return err
	}
	if err := cookies.KeepSignIn(w, r, base, refusalID(of.ID), sealed, of.Deadline.Sub(s.Now())); err != nil {
		return badRequest("state", "The page's address is too long to come back to after a sign-in")
	}
	return nil
}

// keptRefusal is what the browser has kept of a sign-in for this session that did not count; nothing where it has none.
func (s *Service) keptRefusal(r *http.Request, base *url.URL, id string) (came cameInstead, err error) {
	shown := cookies.SignIn(r, base, refusalID(id))
	if s.SignIn == nil || shown == "" {
		return cameInstead{}, nil
	}
	secret, err := s.signInSecret(r.Context())
	if err != nil {
		return cameInstead{}, err
	}
	text, err := cookies.Open(secret, s.refusalPurpose(r, base, id), shown)
	if err != nil || text == nil {
		return cameInstead{}, err
	}
	err = json.Unmarshal(text, &came)
	return came, err
}

// refusalPurpose is what a refused sign-in is sealed for: this session, and this browser.
func (s *Service) refusalPurpose(r *http.Request, base *url.URL, id string) string {
	return "countersign page sign-in refused " + keyedHash(browserSecret(r, base), s.SignIn.Provider()+" "+base.String()+" "+id)
}

// refusalID names the cookie of a refused sign-in for this session.
func refusalID(id string) string { return keyedHash(id, "refused sign-in cookie")[:16] }

const maxName = 120 // bytes of a person's name

// legible makes a name fit to be kept and shown: short, and without what cannot be seen.
func legible(name string) string {
	name = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, name)
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	return name
}

func detailOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
