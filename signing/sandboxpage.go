package signing

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/cookies"
)

// The sandbox keeps nothing: one cookie holds what there is to know of the sessions that a browser has opened, the latest
// first. The oldest are forgotten where it grows too long.
const (
	sandboxCookie = "countersign-sandbox"
	sandboxLife   = time.Hour
	maxSandbox    = 2 << 10 // bytes of the cookie's value; a client's state has up to 1 KiB
)

// carried is what the browser knows of a canned session between two calls of the page.
type carried struct {
	id        string    // of the scenario
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
		kept := carried{id: played.id(), state: query}
		kept.keep(w, r, base)
		if played.signIn {
			return s.turnAway(base, played)
		}
		mock, _ := rawParameter(call.Query, "mock")
		s.write(w, base, played, state, kept, http.StatusOK, mock == "true")
		return nil
	}
}

// carryOn answers a call about a session that the page has opened before.
func (s *Sandbox) carryOn(w http.ResponseWriter, r *http.Request, base *url.URL, id string, state State) error {
	played, kept, err := carriedBy(r, base, id)
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
	case played.signIn && state != StateCancelled:
		return s.turnAway(base, played)
	case state == StateCancelled:
		kept.cancelled = true
		kept.keep(w, r, base)
	case state == StateSigned:
		kept.begun = s.service.Now()
		kept.keep(w, r, base)
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
	played, kept, err := carriedBy(r, base, id)
	if err != nil {
		return err
	}
	standing := kept.standing(played, s.service.Now())
	if played.signIn && !standing.Over() {
		return errNoSession() // it is not open
	}
	s.write(w, base, played, standing, kept, http.StatusOK, false)
	return nil
}

// turnAway tells the page of a sign-in that does not count. Another leads to the same.
func (s *Sandbox) turnAway(base *url.URL, played scenario) error {
	e := demandForSignIn(base.String() + "/client?session=" + played.id())
	e.Reason = reasonFor(played.reason)
	e.wanted = wanted(&session{ID: played.id(), Sub: sandboxPerson}, s.service.clientName("sandbox"), played.came)
	return e
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

// keep sends the cookie, with this session before all others.
func (c carried) keep(w http.ResponseWriter, r *http.Request, base *url.URL) {
	value := c.text()
	for _, other := range allCarried(r, base) {
		if text := other.text(); other.id != c.id && len(value)+1+len(text) <= maxSandbox {
			value += "~" + text
		}
	}
	http.SetCookie(w, cookies.New(base, pagePath, sandboxCookie, value, sandboxLife))
}

func (c carried) text() string {
	begun := ""
	switch {
	case c.cancelled:
		begun = string(StateCancelled)
	case !c.begun.IsZero():
		begun = strconv.FormatInt(c.begun.UnixMilli(), 10)
	}
	return c.id + "." + begun + "." + base64.RawURLEncoding.EncodeToString([]byte(c.state))
}

// allCarried reads the cookie, and drops what is none of ours.
func allCarried(r *http.Request, base *url.URL) (all []carried) {
	for text := range strings.SplitSeq(cookies.Value(r, base, sandboxCookie), "~") {
		parts := strings.Split(text, ".")
		if len(parts) != 3 {
			continue
		}
		kept := carried{id: parts[0], cancelled: parts[1] == string(StateCancelled)}
		state, err := base64.RawURLEncoding.DecodeString(parts[2])
		if _, known := scenarioNamed(kept.id); !known || err != nil {
			continue
		}
		if raw, found := rawParameter(string(state), "state"); found {
			kept.state = "state=" + legalInQuery(raw)
		}
		if millis, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
			kept.begun = time.UnixMilli(millis)
		}
		all = append(all, kept)
	}
	return all
}

// carriedBy returns what the browser's cookie carries back, if the id is a canned session's.
func carriedBy(r *http.Request, base *url.URL, id string) (scenario, carried, error) {
	played, known := scenarioNamed(id)
	if !known {
		return scenario{}, carried{}, errNoSession()
	}
	for _, kept := range allCarried(r, base) {
		if kept.id == id {
			return played, kept, nil
		}
	}
	return played, carried{id: id}, nil
}

// write sends the canned session.
func (s *Sandbox) write(w http.ResponseWriter, base *url.URL, played scenario, state State, kept carried, status int, mock bool) {
	canned := &session{
		ID: played.id(), Client: "sandbox", Sub: sandboxPerson, Algorithm: RS256, Carried: kept.state, State: state,
		Deadline: s.service.Now().Add(s.service.Durations.Sign), Total: 1,
	}
	switch {
	case state == StateSigned:
		canned.Marks = string(markSigned)
	case state == StateCancelled && played.signIn:
		canned.Reason = played.reason
	case state == StateCancelled:
		canned.Reason = reasonCancelled
	case !kept.begun.IsZero() && state == played.state:
		canned.Reason, canned.Tries = played.reason, 1
	}
	view := s.service.viewOf(canned, claim{})
	view.Mock, view.Autostart = true, mock
	if !state.Over() {
		view.Items = itemViews([]item{{ID: SandboxToken, Payload: sandboxPayload}})
	} else {
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
