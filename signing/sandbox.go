package signing

import (
	_ "embed"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/signing/page"
)

// The sandbox's one signed payload, and its answer: signed once by a key that was thrown away.
var (
	//go:embed sandbox/payload.xml
	sandboxPayload []byte
	//go:embed sandbox/response.json
	sandboxResponse []byte
)

// SandboxToken is the token of every request to the sandbox: the one of the specification's example.
const SandboxToken = "f523a772-24f2-45d6-a8da-59b48de0231a"

// sandboxTokens stand for the answers of GET /signatureresponse/{token} that are not signatures. Any other UUID
// is unknown (contract: signing-service §7).
var sandboxTokens = map[string]session{
	"00000000-0000-4000-8000-000000000001": {State: StateCreated},
	"00000000-0000-4000-8000-000000000002": {State: StateOpened},
	"00000000-0000-4000-8000-000000000003": {State: StateFailed, Reason: reasonSignature},
	"00000000-0000-4000-8000-000000000004": {State: StateCancelled, Reason: reasonCancelled},
	"00000000-0000-4000-8000-000000000005": {State: StateExpired, Reason: reasonExpired},
}

// sandboxErrors are tokens for what can go wrong before a session is looked at.
var sandboxErrors = map[string]*Error{
	"00000000-0000-4000-8000-000000000401": failure(http.StatusUnauthorized, "access_token",
		"The access token is missing, unknown or has expired; get a new one"),
	"00000000-0000-4000-8000-000000000503": unavailable("asked for in the sandbox"),
}

// SandboxOptions are what a Sandbox needs.
type SandboxOptions struct {
	BaseURL func(r *http.Request) (string, error)
	Clients map[string]Client // if there is one only, its callback is where the page goes back to
	Version Version
	Logger  *slog.Logger
}

// Sandbox answers like a Service but from a set of canned scenarios: it keeps nothing, checks no signature of a
// request, and signs nothing. Every well-formed request gets SandboxToken.
type Sandbox struct {
	SandboxOptions
	service *Service // for what the two share
}

// NewSandbox makes a Sandbox.
func NewSandbox(o SandboxOptions) (*Sandbox, error) {
	for id, client := range o.Clients {
		if client.Callback != "" {
			if err := client.check(); err != nil {
				return nil, failure(http.StatusInternalServerError, "client", "client %s: %v", id, err)
			}
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	inner := &Service{
		Options: Options{Environment: "sandbox", BaseURL: o.BaseURL, Clients: o.Clients, Version: o.Version, Logger: o.Logger},
		assets:  http.StripPrefix("/page", page.Assets()),
	}
	inner.setDefaults()
	return &Sandbox{SandboxOptions: o, service: inner}, nil
}

// ServeHTTP answers as Service does.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setCommonHeaders(w, r)
	handle, methods := s.endpoint(r.URL.Path)
	serve(w, r, handle, methods, s.Logger)
}

func (s *Sandbox) endpoint(path string) (handle handler, methods string) {
	switch path {
	case "/signaturerequest":
		return s.postRequest, "POST"
	case "/client/open":
		return s.show(StateOpened), "POST"
	case "/client/sign":
		return s.show(StateSigned), "POST"
	case "/client/cancel":
		return s.show(StateCancelled), "POST"
	case "/client", "/_ping":
		return s.service.endpoint(path)
	}
	switch {
	case strings.HasPrefix(path, "/signatureresponse/"):
		return s.getResponse, "GET"
	case strings.HasPrefix(path, "/page/"):
		return s.service.endpoint(path)
	}
	return nil, ""
}

// postRequest holds a request to everything but its signature and its client.
func (s *Sandbox) postRequest(w http.ResponseWriter, r *http.Request) error {
	base, err := s.BaseURL(r)
	if err != nil {
		return err
	}
	state, err := stateOf(r.URL.RawQuery)
	if err != nil {
		return err
	}
	body, release, err := s.service.readBody(w, r)
	if err != nil {
		return err
	}
	defer release()
	_, read, err := readJWS(body)
	if err != nil {
		return err
	}
	anything := Client{Algorithms: []string{RS1, RS256, PS256}}
	if err := read.checkClaims(base, anything, s.service.Now(), s.service.Durations.Skew, true); err != nil {
		return err
	}
	if _, err := read.decodePayloads(); err != nil {
		return err
	}
	return writeAccepted(w, newTicket(uuid.MustParse(SandboxToken), state, base), nil)
}

// show answers the page's calls with the canned session, in the state that the call leads to.
func (s *Sandbox) show(state State) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		call, base, err := s.service.readCall(w, r)
		if err != nil {
			return err
		}
		carried, mock := "", false
		if call.Token != "" {
			if call.Token != SandboxToken {
				return errNoSession()
			}
			if carried, err = stateOf(call.Query); err != nil {
				return err
			}
			value, _ := rawParameter(call.Query, "mock")
			mock = value == "true"
			http.SetCookie(w, newCookie(sandboxCookie, url.QueryEscape(carried), base, http.SameSiteStrictMode))
		} else if carried, err = url.QueryUnescape(cookieValue(r, sandboxCookie)); err != nil || call.ID != sandboxID {
			return errNoSession()
		}
		now := s.service.Now()
		canned := &session{
			ID: sandboxID, Client: "sandbox", Sub: "555086689106", Algorithm: RS256, Carried: carried, State: state,
			Deadline: now.Add(s.service.Durations.Sign), Total: 1, Mock: mock,
		}
		status := http.StatusOK
		switch state {
		case StateSigned:
			canned.Marks, status = string(markSigned), http.StatusAccepted
		case StateCancelled:
			canned.Reason = reasonCancelled
		}
		view := s.service.viewOf(canned, SandboxToken)
		view.Mock, view.Items = true, itemViews([]item{{ID: SandboxToken, Payload: sandboxPayload}})
		if state.Over() {
			view.RedirectURI = s.wayBack(canned, base)
		}
		writeJSON(w, status, view)
		return nil
	}
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

// getResponse answers with the scenario that the token stands for.
func (s *Sandbox) getResponse(w http.ResponseWriter, r *http.Request) error {
	token, err := tokenOf(strings.TrimPrefix(r.URL.Path, "/signatureresponse/"))
	if err != nil {
		return err
	}
	text := token.String()
	if text == SandboxToken {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(sandboxResponse)
		return nil
	}
	if e, asked := sandboxErrors[text]; asked {
		if e.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		return e
	}
	if scenario, asked := sandboxTokens[text]; asked {
		return notReleased(&scenario)
	}
	return errNoSession()
}
