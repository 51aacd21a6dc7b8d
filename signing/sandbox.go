package signing

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/intake"
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
// is unknown (SIG-7.3).
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
	// StatusKey is what /_status wants in the header apikey; empty: nobody may read it.
	StatusKey string
	Observer  Observer // as in Options
	Logger    *slog.Logger

	Requests, Calls *intake.Group // as in Options
}

// Sandbox answers like a Service but from a set of canned scenarios: it keeps nothing, checks no signature of a
// request, and signs nothing. Every well-formed request gets SandboxToken, or the token of the fault that its header
// X-Fault names.
type Sandbox struct {
	SandboxOptions
	service *Service // for what the two share
}

// NewSandbox makes a Sandbox.
func NewSandbox(o SandboxOptions) (*Sandbox, error) {
	if o.BaseURL == nil {
		return nil, errors.New("a sandbox needs a base URL")
	}
	for id, client := range o.Clients {
		if client.Callback != "" {
			if err := client.check(); err != nil {
				return nil, fmt.Errorf("client %s: %w", id, err)
			}
		}
	}
	inner := &Service{
		Options: Options{
			Environment: "sandbox", BaseURL: o.BaseURL, Clients: o.Clients,
			Version: o.Version, StatusKey: o.StatusKey, Observer: o.Observer, Logger: o.Logger,
			Requests: o.Requests, Calls: o.Calls,
		},
		assets: http.StripPrefix("/page", page.Assets()),
	}
	inner.setDefaults()
	o.Logger = inner.Logger
	return &Sandbox{SandboxOptions: o, service: inner}, nil
}

// ServeHTTP answers as Service does.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setCommonHeaders(w, r)
	handle, methods := s.endpoint(r.URL.Path)
	s.service.serve(w, r, handle, methods)
}

// Health is always good: a sandbox needs nothing.
func (s *Sandbox) Health(ctx context.Context) Health { return s.service.Health(ctx) }

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
	case "/client/session":
		return s.watch, "GET"
	case "/client", "/client/browser", "/jwks.json", "/openapi.json", "/_ping", "/_status":
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

// postRequest holds a request to everything but its signature, its client and its sub (SIG-7.2).
func (s *Sandbox) postRequest(w http.ResponseWriter, r *http.Request) error {
	base, err := s.BaseURL(r)
	if err != nil {
		return err
	}
	state, err := stateOf(r.URL.RawQuery)
	if err != nil {
		return err
	}
	played, err := asked(r)
	if err != nil {
		return err
	}
	body, place, err := s.service.takeBody(w, r, false)
	if err != nil {
		return err
	}
	defer place.Release()
	_, read, err := readJWS(body)
	if err != nil {
		return err
	}
	anything := Client{Algorithms: []string{RS1, RS256, PS256}}
	if err := read.checkClaims(base, anything, s.service.Now(), s.service.Durations.Skew, false); err != nil {
		return err
	}
	if _, err := read.decodePayloads(); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newTicket(uuid.MustParse(played.token), state, base).accepted)
	return nil
}

// getResponse answers with the scenario that the token stands for.
func (s *Sandbox) getResponse(w http.ResponseWriter, r *http.Request) error {
	token, err := tokenOf(strings.TrimPrefix(r.URL.Path, "/signatureresponse/"))
	if err != nil {
		return err
	}
	text := token.String()
	played, isPlayed := scenarioOf(text)
	if isPlayed && played.released() {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(sandboxResponse)
		return nil
	}
	if isPlayed {
		return notReleased(&session{State: played.state, Reason: played.reason})
	}
	if e, asked := sandboxErrors[text]; asked {
		return e
	}
	if scenario, asked := sandboxTokens[text]; asked {
		return notReleased(&scenario)
	}
	return errNoSession()
}
