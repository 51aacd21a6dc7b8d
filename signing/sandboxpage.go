package signing

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// carried is what the browser's cookie holds between two calls of the page: the sandbox keeps nothing.
type carried struct {
	state     string    // that goes back to the client system
	begun     time.Time // when signing began; zero: it did not
	cancelled bool      // by the person, which is the end of it
}

// show answers the page's calls with the canned session, in the state that the call leads to.
func (s *Sandbox) show(state State) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		call, base, err := s.service.readCall(w, r)
		if err != nil {
			return err
		}
		if call.Token == "" {
			return s.carryOn(w, r, base, call.ID, state)
		}
		played, known := scenarioOf(call.Token)
		if !known {
			return errNoSession()
		}
		query, err := stateOf(call.Query)
		if err != nil {
			return err
		}
		kept := carried{state: query}
		kept.keep(w, played, base)
		mock, _ := rawParameter(call.Query, "mock")
		s.write(w, base, played, state, kept, http.StatusOK, mock == "true")
		return nil
	}
}

// carryOn answers a call about a session that the page has opened before.
func (s *Sandbox) carryOn(w http.ResponseWriter, r *http.Request, base *url.URL, id string, state State) error {
	played, kept, err := carriedBy(r, id)
	if err != nil {
		return err
	}
	status, standing := http.StatusOK, kept.standing(played, s.service.Now())
	if state == StateSigned {
		status = http.StatusAccepted
	}
	switch {
	case standing.Over(): // it stays so
		state = standing
	case state == StateCancelled:
		kept.cancelled = true
		kept.keep(w, played, base)
	case state == StateSigned:
		kept.begun = s.service.Now()
		kept.keep(w, played, base)
		state = played.during(0)
	}
	s.write(w, base, played, state, kept, status, false)
	return nil
}

// watch answers the page's polling.
func (s *Sandbox) watch(w http.ResponseWriter, r *http.Request) error {
	base, err := s.service.parsedBase(r)
	if err != nil {
		return err
	}
	id, _ := rawParameter(r.URL.RawQuery, "id")
	played, kept, err := carriedBy(r, id)
	if err != nil {
		return err
	}
	s.write(w, base, played, kept.standing(played, s.service.Now()), kept, http.StatusOK, false)
	return nil
}

// standing is the state that a played session is in. One that was not begun waits to be signed.
func (c carried) standing(played scenario, now time.Time) State {
	switch {
	case c.cancelled:
		return StateCancelled
	case c.begun.IsZero():
		return StateOpened
	}
	return played.during(now.Sub(c.begun))
}

// keep sends the cookie.
func (c carried) keep(w http.ResponseWriter, played scenario, base *url.URL) {
	value := url.QueryEscape(c.state)
	switch {
	case c.cancelled:
		value += "|" + string(StateCancelled)
	case !c.begun.IsZero():
		value += "|" + strconv.FormatInt(c.begun.UnixMilli(), 10)
	}
	http.SetCookie(w, newCookie(sessionCookie+played.id(), value, base, http.SameSiteStrictMode))
}

// carriedBy returns what the browser's cookie carries back, if the id is a canned session's.
func carriedBy(r *http.Request, id string) (scenario, carried, error) {
	played, known := scenarioNamed(id)
	text, begun, _ := strings.Cut(cookieValue(r, sessionCookie+id), "|")
	state, err := url.QueryUnescape(text)
	if err != nil || !known {
		return scenario{}, carried{}, errNoSession()
	}
	kept := carried{state: state, cancelled: begun == string(StateCancelled)}
	if millis, err := strconv.ParseInt(begun, 10, 64); err == nil {
		kept.begun = time.UnixMilli(millis)
	}
	return played, kept, nil
}

// write sends the canned session.
func (s *Sandbox) write(w http.ResponseWriter, base *url.URL, played scenario, state State, kept carried, status int, mock bool) {
	canned := &session{
		ID: played.id(), Client: "sandbox", Sub: "555086689106", Algorithm: RS256, Carried: kept.state, State: state,
		Deadline: s.service.Now().Add(s.service.Durations.Sign), Total: 1,
	}
	switch {
	case state == StateSigned:
		canned.Marks = string(markSigned)
	case state == StateCancelled:
		canned.Reason = reasonCancelled
	case !kept.begun.IsZero() && state == played.state:
		canned.Reason, canned.Tries = played.reason, 1
	}
	view := s.service.viewOf(canned, played.token)
	view.Mock, view.Autostart, view.Items = true, mock, itemViews([]item{{ID: SandboxToken, Payload: sandboxPayload}})
	if state.Over() {
		view.RedirectURI = s.wayBack(canned, played.token, base)
	}
	writeJSON(w, status, view)
}

const sandboxID = "sandbox"

// wayBack is the one client's callback, or, where there is none or there are several, the answer itself.
func (s *Sandbox) wayBack(canned *session, token string, base *url.URL) string {
	if len(s.Clients) == 1 {
		for id, client := range s.Clients {
			if client.Callback != "" {
				canned.Client = id
				return s.service.wayBack(canned, token)
			}
		}
	}
	return base.String() + "/signatureresponse/" + token
}
