package signing

import (
	"net/http"
	"net/url"
)

// show answers the page's calls with the canned session, in the state that the call leads to.
func (s *Sandbox) show(state State) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		call, base, err := s.service.readCall(w, r)
		if err != nil {
			return err
		}
		if call.Token == "" {
			carried, err := carriedBy(r, call.ID)
			if err != nil {
				return err
			}
			s.write(w, base, state, carried, false)
			return nil
		}
		if call.Token != SandboxToken {
			return errNoSession()
		}
		carried, err := stateOf(call.Query)
		if err != nil {
			return err
		}
		http.SetCookie(w, newCookie(sandboxCookie, url.QueryEscape(carried), base, http.SameSiteStrictMode))
		mock, _ := rawParameter(call.Query, "mock")
		s.write(w, base, state, carried, mock == "true")
		return nil
	}
}

// watch answers the page's polling: what is not over waits to be signed.
func (s *Sandbox) watch(w http.ResponseWriter, r *http.Request) error {
	base, err := s.service.parsedBase(r)
	if err != nil {
		return err
	}
	id, _ := rawParameter(r.URL.RawQuery, "id")
	carried, err := carriedBy(r, id)
	if err != nil {
		return err
	}
	s.write(w, base, StateOpened, carried, false)
	return nil
}

// carriedBy returns the state that the browser's cookie carries back, if the id is the canned session's.
func carriedBy(r *http.Request, id string) (string, error) {
	carried, err := url.QueryUnescape(cookieValue(r, sandboxCookie))
	if err != nil || id != sandboxID {
		return "", errNoSession()
	}
	return carried, nil
}

// write sends the canned session.
func (s *Sandbox) write(w http.ResponseWriter, base *url.URL, state State, carried string, mock bool) {
	canned := &session{
		ID: sandboxID, Client: "sandbox", Sub: "555086689106", Algorithm: RS256, Carried: carried, State: state,
		Deadline: s.service.Now().Add(s.service.Durations.Sign), Total: 1,
	}
	status := http.StatusOK
	switch state {
	case StateSigned:
		canned.Marks, status = string(markSigned), http.StatusAccepted
	case StateCancelled:
		canned.Reason = reasonCancelled
	}
	view := s.service.viewOf(canned, SandboxToken)
	view.Mock, view.Autostart, view.Items = true, mock, itemViews([]item{{ID: SandboxToken, Payload: sandboxPayload}})
	if state.Over() {
		view.RedirectURI = s.wayBack(canned, base)
	}
	writeJSON(w, status, view)
}

const (
	sandboxID     = "sandbox"
	sandboxCookie = sessionCookie + sandboxID // holds the state that is carried back; the sandbox keeps nothing else
)

// wayBack is the one client's callback, or, where there is none or there are several, the answer itself.
func (s *Sandbox) wayBack(canned *session, base *url.URL) string {
	if len(s.Clients) == 1 {
		for id, client := range s.Clients {
			if client.Callback != "" {
				canned.Client = id
				return s.service.wayBack(canned, SandboxToken)
			}
		}
	}
	return base.String() + "/signatureresponse/" + SandboxToken
}
