package signing

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/signing/page"
	"github.com/seed-dd2befc3/countersign/store"
)

// showPage sends the page. It is the same for every session and changes none, so a mail scanner may look at a
// link as often as it likes (SIG-2.6).
func (s *Service) showPage(w http.ResponseWriter, r *http.Request) error {
	base, err := s.parsedBase(r)
	if err != nil {
		return err
	}
	data := page.Data{Environment: s.Environment, Local: slices.ContainsFunc(s.Agents, Route.local)}
	secret := browserSecret(r, base)
	if secret == "" && !ordersTabs(r) {
		if secret, err = s.giveSecret(w, r, base); err != nil {
			return err
		}
	}
	if secret != "" {
		data.CSRF = csrfOf(secret, base)
	}
	return renderPage(w, r, data)
}

// ordersTabs says whether the page's script can have the tabs of its browser ask for their secret one after another. If
// two tabs are loaded at one time and each answer sets a cookie, the browser keeps the one that comes last, perhaps
// after the other tab has claimed its session. Fetch metadata and the Web Locks that it takes came to browsers together,
// and both only on https and on loopback. Programs that play a browser have neither, and get the cookie with the page.
func ordersTabs(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Mode") != "" }

// knowBrowser gives the page its CSRF value, and its browser a secret if it has none.
func (s *Service) knowBrowser(w http.ResponseWriter, r *http.Request) error {
	base, err := s.parsedBase(r)
	if err != nil {
		return err
	}
	if err := sameOrigin(r, base); err != nil {
		return err
	}
	secret, err := s.giveSecret(w, r, base)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, browserView{CSRF: csrfOf(secret, base)})
	return nil
}

// browserView is what the page is told of its browser.
type browserView struct {
	CSRF string `json:"csrf"`
}

func renderPage(w http.ResponseWriter, r *http.Request, data page.Data) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", data.CSP())
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if r.Method == http.MethodHead {
		return nil
	}
	return page.Render(w, data)
}

// openSession claims a session for this browser, or shows it again to the browser that holds it.
func (s *Service) openSession(w http.ResponseWriter, r *http.Request) error {
	call, base, err := s.readCall(w, r)
	if err != nil {
		return err
	}
	if call.ID != "" {
		came, err := s.keptRefusal(r, base, call.ID)
		if err != nil {
			return err
		}
		if came.Query == "" {
			return s.reopenSession(w, r, base, call.ID)
		}
		call.Query = came.Query // the page is back from a sign-in that did not count, and its address holds no token
		call.Token, _ = rawParameter(came.Query, "token")
	}
	token, err := tokenOf(call.Token)
	if err != nil {
		return errNoSession()
	}
	opening, err := s.readOpening(call.Query)
	if err != nil {
		return err
	}
	id := sessionID(token)
	if err := s.adopt(w, r, base, id); err != nil {
		return err
	}
	held, err := s.claimOf(r, base, id)
	if err != nil {
		return err
	}
	if err := s.demandSignIn(w, r, base, id, held, call.Query); err != nil {
		return err
	}
	found, err := s.sessions.change(r.Context(), id, func(current *session) ([]store.Op, error) {
		return nil, opening.apply(current, held, token)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return err
	}
	if err == nil && found.State == StateOpened {
		s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "session opened",
			slog.String("session", id), slog.String("client", found.Client), slog.Bool("mock", found.Mock),
			slog.String("request_id", w.Header().Get(headerRequestID)))
	}
	return s.writeOpened(w, r, base, found, held)
}

// reopenSession shows a session again to the browser that holds it.
func (s *Service) reopenSession(w http.ResponseWriter, r *http.Request, base *url.URL, id string) error {
	if err := s.adopt(w, r, base, id); err != nil {
		return err
	}
	found, held, err := s.held(r, base, id)
	if err != nil {
		return err
	}
	if err := s.demandSignIn(w, r, base, id, held, ""); err != nil {
		return err
	}
	return s.writeOpened(w, r, base, found, held)
}

// opening is how a session is to be opened, from the page's own query.
type opening struct {
	mock    bool
	carried string
}

func (s *Service) readOpening(query string) (opening, error) {
	mock, _ := rawParameter(query, "mock")
	if mock == "true" && s.Mock == nil {
		return opening{}, badRequest("mock", "This service offers no mock smartcard; open the address without mock=true")
	}
	carried, err := stateOf(query)
	return opening{mock: mock == "true", carried: carried}, err
}

// apply makes the session this browser's, if it is nobody's yet. One that has expired before anybody opened it stays as
// it is otherwise: the browser may look at it, and go back to the client system.
func (o opening) apply(current *session, held claim, token uuid.UUID) error {
	switch {
	case !held.caller.mayFetch(current):
		return errForeign(current)
	case held.holds(current):
		return errUnchanged
	case current.Browser != "":
		return failure(http.StatusConflict, "opened_elsewhere",
			"This signature request is open in another browser; go on there, or start again from the system that sent you here")
	}
	held.take(current, token)
	if current.State == StateCreated {
		current.State, current.Mock, current.Refused = StateOpened, o.mock, nil
	}
	if current.Carried == "" { // what the client system posted stands; else what it put into the address itself
		current.Carried = o.carried
	}
	return nil
}

// writeOpened sends the session with its items, and has the browser keep its secret for as long as the session lasts.
// There are items while there is something to sign, and the person is there who is to sign it.
func (s *Service) writeOpened(w http.ResponseWriter, r *http.Request, base *url.URL, found *session, held claim) error {
	view, err := s.viewIn(r, base, found, held)
	if err != nil {
		return err
	}
	if !found.State.Over() && !view.SignedOut {
		items, err := s.sessions.payloads(r.Context(), found)
		if err != nil {
			return err
		}
		view.Items = itemViews(items)
	}
	keepSecret(w, base, browserSecret(r, base), found.Gone.Sub(s.Now()))
	writeJSON(w, http.StatusOK, view)
	return nil
}

// viewIn is viewOf with what depends on who is signed in.
func (s *Service) viewIn(r *http.Request, base *url.URL, found *session, held claim) (view, error) {
	seen := s.viewOf(found, held)
	var err error
	if !found.State.Over() {
		seen.SignedOut, err = s.signedOut(r, base, found)
	}
	if seen.SignedOut {
		seen.Name = ""
	}
	return seen, err
}

// held returns a session that this browser has claimed.
func (s *Service) held(r *http.Request, base *url.URL, id string) (*session, claim, error) {
	held, err := s.claimOf(r, base, id)
	if err != nil {
		return nil, claim{}, err
	}
	found, _, err := s.sessions.get(r.Context(), id)
	if err != nil {
		return nil, claim{}, err
	}
	return found, held, held.check(found)
}

// watchSession tells how a session stands.
func (s *Service) watchSession(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest("malformed", "The query cannot be read")
	}
	base, err := s.parsedBase(r)
	if err != nil {
		return err
	}
	seen, err := s.watched(r, base, query.Get("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, seen)
	return nil
}

// startSigning begins a run of the agent.
func (s *Service) startSigning(w http.ResponseWriter, r *http.Request) error {
	call, held, err := s.readHeldCall(w, r, maxCall)
	if err != nil {
		return err
	}
	base, err := s.parsedBase(r)
	if err != nil {
		return err
	}
	if err := s.demandSignIn(w, r, base, call.ID, held, ""); err != nil {
		return err
	}
	found, err := s.begin(r.Context(), call.ID, call.Way, func(current *session) error {
		return cmp.Or(held.check(current), s.checkSignedIn(current), s.checkDisplayed(current))
	})
	if err != nil {
		return err
	}
	view := s.viewOf(found, held)
	if view.Order, err = s.orderFor(r.Context(), found); err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, view)
	return nil
}

// cancelSession ends a session as the person asks, or whoever came in their place. A run that is under way notices and
// drops its agent.
func (s *Service) cancelSession(w http.ResponseWriter, r *http.Request) error {
	call, base, err := s.readCall(w, r)
	if err != nil {
		return err
	}
	held, err := s.claimOf(r, base, call.ID)
	if err != nil {
		return err
	}
	came, err := s.keptRefusal(r, base, call.ID)
	if err != nil {
		return err
	}
	found, err := s.sessions.change(r.Context(), call.ID, func(current *session) ([]store.Op, error) {
		why, mine := current.refusedIn(r, base)
		if mine {
			if err := held.cancelRefused(current, came); err != nil {
				return nil, err
			}
		}
		if err := held.check(current); err != nil {
			return nil, err
		}
		if current.State.Over() {
			return nil, errUnchanged
		}
		current.end(StateCancelled, cmp.Or(why, reasonCancelled), current.Gone)
		return nil, nil
	})
	switch {
	case err == nil:
		s.auditEnd(r.Context(), found, "", string(StateCancelled), found.Reason)
		s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "session cancelled",
			slog.String("session", found.ID), slog.String("client", found.Client),
			slog.String("request_id", w.Header().Get(headerRequestID)))
	case !errors.Is(err, errUnchanged):
		return err
	}
	writeJSON(w, http.StatusOK, s.viewOf(found, held))
	return nil
}
