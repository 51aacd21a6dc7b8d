package bars

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/openapi"
	"github.com/seed-dd2befc3/countersign/description"
	"github.com/seed-dd2befc3/countersign/intake"
)

// Scope is the scope a sender's access token must have.
const Scope = "urn:nhsd:apim:app:level3:booking-and-referral"

// Defaults of the proxy (BAR-1.8, BAR-1.9).
const (
	Timeout = 32 * time.Second
	MaxBody = 10 << 20 // bytes of a request

	// MaxHeld are the bytes of requests that the sandbox holds at one time.
	MaxHeld = 64 << 20

	readTimeout = 30 * time.Second // for the whole body of a request to the sandbox
)

// DefaultLimits returns the limits of an environment.
func DefaultLimits(production bool) Limits {
	if production {
		return Limits{PerApp: 1000, Overall: 60}
	}
	return Limits{PerApp: 300, Overall: 60}
}

// Options configure a Proxy.
type Options struct {
	// Sandbox requires no token and no ids, and answers some targets itself.
	Sandbox bool
	// Access returns the application that sends a request; its error is an *Outcome for a refusal. The sandbox does
	// not call it.
	Access func(*http.Request) (app string, err error)
	// Find returns a target's URL.
	Find func(Target) (*url.URL, *Outcome)
	// Quota counts requests by application.
	Quota *Quota
	// Version is the JSON answer of /_ping.
	Version any
	// StatusKey must be sent to /_status in the header apikey, except in the sandbox. Empty: nobody may read it.
	StatusKey string
	// Health returns the answer of /_status: the version, a status (pass, warn or fail) and checks.
	Health func() map[string]any
	// Bodies are those who send the sandbox a request, who prove nothing. Default: MaxHeld, in a pool of this proxy's own.
	// What is brokered is not held.
	Bodies *intake.Group
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Proxy is the standard's proxy without the transport. A request is checked in this order:
//
//	path ─▶ method ─▶ access token ─▶ rates ─▶ both ids ─▶ target ─▶ receiver
//
// and the first check that refuses answers. /_ping, /_status, /openapi.json, and /metadata without a target, are
// answered directly.
type Proxy struct {
	Options
}

// Call is one request and what became of it.
type Call struct {
	Endpoint string // such as /Appointment/{id}; empty for an unknown path
	App      string // the sending application, if known
	Target   Target // if known
	Address  *url.URL
	Outcome  *Outcome // why it failed, or nil

	Answer http.Handler // answers the request here; nil: the request goes to Address
}

// NewProxy makes a Proxy.
func NewProxy(options Options) *Proxy {
	if options.Now == nil {
		options.Now = time.Now
	}
	options.Bodies = cmp.Or(options.Bodies, intake.NewGroup("bars", MaxHeld, 0))
	return &Proxy{options}
}

// Route decides what to do with a request, whose path is relative to the API's base. A refusal sets the call's
// Outcome.
func (p *Proxy) Route(w http.ResponseWriter, r *http.Request) *Call {
	call := &Call{}
	call.Outcome = p.route(w, r, call)
	return call
}

func (p *Proxy) route(w http.ResponseWriter, r *http.Request, call *Call) *Outcome {
	var methods []string
	if call.Endpoint, methods = endpointOf(r.URL.Path); call.Endpoint == "" {
		return noPath
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return noMethod.With("%s", r.Method)
	}
	switch {
	case call.Endpoint == "/_ping":
		w.Header().Set("Link", description.Link)
		call.Answer = answerJSON(p.Version)
		return nil
	case call.Endpoint == description.Path:
		call.Answer = http.HandlerFunc(describe)
		return nil
	case call.Endpoint == "/_status":
		return p.status(r, call)
	case call.Endpoint == "/metadata" && len(r.Header.Values(HeaderTarget)) == 0:
		call.Answer = http.HandlerFunc(p.capabilities)
		return nil
	}
	if !p.Sandbox {
		if outcome := p.admit(w, r, call); outcome != nil {
			return outcome
		}
	}
	var outcome *Outcome
	if call.Target, outcome = ParseTarget(r.Header); outcome != nil {
		return outcome
	}
	if p.Sandbox && builtIn(call.Target) {
		call.Answer = http.HandlerFunc(p.receive)
		return nil
	}
	address, outcome := p.Find(call.Target)
	if outcome != nil {
		return outcome
	}
	call.Address = at(address, r.URL)
	return nil
}

// admit checks the token, the rates and the ids.
func (p *Proxy) admit(w http.ResponseWriter, r *http.Request, call *Call) *Outcome {
	var err error
	if call.App, err = p.Access(r); err != nil {
		if outcome := OutcomeOf(err); outcome != nil {
			return outcome
		}
		return Defect(err)
	}
	if wait, ok := p.Quota.Take(call.App); !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		return tooMany
	}
	for _, name := range []string{HeaderRequestID, HeaderCorrelationID} {
		switch {
		case r.Header.Get(name) == "":
			return noID.With("no %s", name)
		case forOneHop(r.Header, name):
			return noID.With("the header Connection names %s, so it would not be forwarded", name)
		}
	}
	return nil
}

// forOneHop reports whether Connection declares a header hop-by-hop (RFC 9110 §7.6.1). Such a header is not
// forwarded, so the receiver would not get what was checked here.
func forOneHop(header http.Header, name string) bool {
	for _, value := range header.Values("Connection") {
		for option := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(option), name) {
				return true
			}
		}
	}
	return false
}

// at returns a request's URL at a receiver: the receiver's base, then the request's path and query, byte for byte.
func at(base, request *url.URL) *url.URL {
	u := *base
	u.Path = base.Path + request.Path
	u.RawPath = base.EscapedPath() + request.EscapedPath()
	u.RawQuery, u.ForceQuery = request.RawQuery, request.ForceQuery
	return &u
}

// fhirID matches a valid id in a path (FHIR R4, datatype id). It keeps paths from escaping the API.
var fhirID = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

// endpointOf matches a path to an endpoint of the API (BAR-1.2) and returns the methods it accepts.
func endpointOf(path string) (endpoint string, methods []string) {
	switch path {
	case "/_ping", "/_status", description.Path:
		return path, []string{http.MethodGet, http.MethodHead}
	case "/metadata", "/MessageDefinition", "/Slot":
		return path, []string{http.MethodGet}
	case "/$process-message":
		return path, []string{http.MethodPost}
	case "/Appointment", "/ServiceRequest":
		return path, []string{http.MethodGet, http.MethodPost}
	}
	for _, of := range []string{"/Appointment/", "/ServiceRequest/"} {
		if id, found := strings.CutPrefix(path, of); found && fhirID.MatchString(id) && strings.Trim(id, ".") != "" {
			return of + "{id}", []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete}
		}
	}
	return "", nil
}

// describe answers with the API's OpenAPI description.
func describe(w http.ResponseWriter, r *http.Request) {
	Echo(w.Header(), r)
	openapi.Serve(w, r)
}

// answerJSON answers with a value of our own as JSON.
func answerJSON(value any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeResource(w, r, http.StatusOK, "application/json", value)
	})
}

// writeResource answers with a value as JSON.
func writeResource(w http.ResponseWriter, r *http.Request, status int, contentType string, value any) {
	body, err := json.Marshal(value)
	if err != nil { // only our own values are written
		Defect(err).Write(w, r)
		return
	}
	header := w.Header()
	Echo(header, r)
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller may have gone
	}
}
