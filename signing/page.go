package signing

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

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
	secret := cookieValue(r, pageCookie)
	if len(secret) < secretSize {
		if secret, err = s.newSecret(); err != nil {
			return err
		}
		http.SetCookie(w, newCookie(pageCookie, secret, base, http.SameSiteLaxMode))
	}
	return renderPage(w, r, page.Data{CSRF: csrfOf(secret), Environment: s.Environment, Local: slices.ContainsFunc(s.Agents, Route.local)})
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
		found, held, err := s.held(r, call.ID)
		if err != nil {
			return err
		}
		if err := s.demandSignIn(w, r, base, call.ID, held, pageQuery(held)); err != nil {
			return err
		}
		return s.writeOpened(w, r, found, held)
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
	held, err := s.claimOf(r, id)
	if err != nil {
		return err
	}
	if err := s.demandSignIn(w, r, base, id, held, call.Query); err != nil {
		return err
	}
	if held.none() {
		held = newClaim(r, token, held.caller)
	}
	found, err := s.sessions.change(r.Context(), id, func(current *session) ([]store.Op, error) {
		return nil, opening.apply(current, held)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return err
	}
	http.SetCookie(w, held.cookie(id, base, found.Gone, s.Now()))
	if err == nil {
		s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "session opened",
			slog.String("session", id), slog.String("client", found.Client), slog.Bool("mock", found.Mock),
			slog.String("request_id", w.Header().Get(headerRequestID)))
	}
	return s.writeOpened(w, r, found, held)
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

// apply makes the session this browser's, if it is nobody's yet.
func (o opening) apply(current *session, held claim) error {
	switch {
	case !held.caller.mayFetch(current):
		return errForeign(current)
	case held.holds(current):
		return errUnchanged
	case current.Browser != "":
		return failure(http.StatusConflict, "opened_elsewhere",
			"This signature request is open in another browser; go on there, or start again from the system that sent you here")
	case current.State == StateExpired:
		return errUnchanged
	}
	current.State, current.Browser, current.Mock = StateOpened, keyedHash(held.secret, "browser"), o.mock
	if current.Carried == "" { // what the client system posted stands; else what it put into the address itself
		current.Carried = o.carried
	}
	return nil
}

// writeOpened sends the session with its items.
func (s *Service) writeOpened(w http.ResponseWriter, r *http.Request, found *session, held claim) error {
	items, err := s.sessions.payloads(r.Context(), found)
	if err != nil {
		return err
	}
	view := s.viewOf(found, held.token.String())
	view.Items = itemViews(items)
	writeJSON(w, http.StatusOK, view)
	return nil
}

// held returns a session that this browser has claimed.
func (s *Service) held(r *http.Request, id string) (*session, claim, error) {
	held, err := s.claimOf(r, id)
	if err != nil {
		return nil, claim{}, err
	}
	if held.none() {
		return nil, claim{}, errNoSession()
	}
	found, _, err := s.sessions.get(r.Context(), id)
	if err != nil {
		return nil, claim{}, err
	}
	return found, held, held.check(found)
}

// check is what every call of the page begins with that names a session. One that expired before anybody opened it
// belongs to nobody, and may be looked at by whoever has its token.
func (c claim) check(current *session) error {
	if !c.caller.mayFetch(current) {
		return errForeign(current)
	}
	if c.holds(current) || (!c.none() && current.Browser == "" && current.State == StateExpired) {
		return nil
	}
	return errNoSession().withDetail("session %s is another browser's", current.ID)
}

// watchSession tells how a session stands.
func (s *Service) watchSession(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest("malformed", "The query cannot be read")
	}
	found, held, err := s.held(r, query.Get("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.viewOf(found, held.token.String()))
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
	if err := s.demandSignIn(w, r, base, call.ID, held, pageQuery(held)); err != nil {
		return err
	}
	found, err := s.begin(r.Context(), call.ID, call.Way, func(current *session) error {
		return cmp.Or(held.check(current), s.checkSignedIn(current))
	})
	if err != nil {
		return err
	}
	view := s.viewOf(found, held.token.String())
	if view.Order, err = s.orderFor(r.Context(), found); err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, view)
	return nil
}

// cancelSession ends a session as the person asks. A run that is under way notices and drops its agent.
func (s *Service) cancelSession(w http.ResponseWriter, r *http.Request) error {
	call, held, err := s.readHeldCall(w, r, maxCall)
	if err != nil {
		return err
	}
	found, err := s.sessions.change(r.Context(), call.ID, func(current *session) ([]store.Op, error) {
		if err := held.check(current); err != nil {
			return nil, err
		}
		if current.State.Over() {
			return nil, errUnchanged
		}
		current.end(StateCancelled, reasonCancelled, current.Gone)
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
	writeJSON(w, http.StatusOK, s.viewOf(found, held.token.String()))
	return nil
}
