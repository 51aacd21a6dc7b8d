package bars

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/openapi"
	"github.com/seed-dd2befc3/countersign/description"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
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
	// StatusKey must be sent to /_status in the header apikey. Empty: nobody may read it.
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
//	access token ─▶ rates ─▶ both ids ─▶ version ─▶ target ─▶ receiver
//
// and the first check that refuses answers. Paths and methods are the receiver's business (BAR-5.17). /_ping, /_status,
// /openapi.json, preflights, and /metadata without a target, are answered directly.
type Proxy struct {
	Options
}

// Call is one request and what became of it.
type Call struct {
	Endpoint string // such as /Appointment/{id}; "other" for a path that no version of the standard has; empty: the path is refused
	App      string // the sending application, if known
	Target   Target // if known
	Address  *url.URL
	Outcome  *Outcome // why it failed, or nil

	Answer http.Handler // answers the request here; nil: Outcome answers, or the request goes to Address
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
	if outcome := p.route(w, r, call); outcome != nil {
		call.Outcome = outcome.Named()
	}
	return call
}

func (p *Proxy) route(w http.ResponseWriter, r *http.Request, call *Call) *Outcome {
	if isPreflight(r) {
		call.Endpoint, call.Answer = "preflight", http.HandlerFunc(preflight)
		return nil
	}
	if climbs(r.URL.Path) {
		return NoPath.With("the path has dot segments")
	}
	call.Endpoint = endpointOf(r.URL.Path)
	switch call.Endpoint {
	case "/_ping", "/_status", description.Path:
		return p.own(w, r, call)
	case "/metadata":
		if reads(r) && len(r.Header.Values(HeaderTarget)) == 0 {
			call.Answer = http.HandlerFunc(p.capabilities)
			return nil
		}
	}
	if outcome := p.admit(w, r, call); outcome != nil {
		return outcome
	}
	if outcome := checkVersion(r); outcome != nil {
		return outcome
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

// own answers the proxy's own endpoints, which are for reading.
func (p *Proxy) own(w http.ResponseWriter, r *http.Request, call *Call) *Outcome {
	if !reads(r) {
		w.Header().Set("Allow", "GET, HEAD")
		return noMethod.With("%s", r.Method)
	}
	switch call.Endpoint {
	case "/_status":
		return p.status(r, call)
	case "/_ping":
		w.Header().Set("Link", description.Link)
		call.Answer = answerJSON(http.StatusOK, p.Version)
	default:
		call.Answer = http.HandlerFunc(describe)
	}
	return nil
}

// admit checks the token, the rates and the ids. In the sandbox only the rates count, by the sender's address.
func (p *Proxy) admit(w http.ResponseWriter, r *http.Request, call *Call) *Outcome {
	if p.Sandbox {
		return p.countAddress(w, r)
	}
	var err error
	if call.App, err = p.Access(r); err != nil {
		if outcome := OutcomeOf(err); outcome != nil {
			return outcome
		}
		return Defect(err)
	}
	if outcome := p.count(w, call.App); outcome != nil {
		return outcome
	}
	for _, name := range []string{HeaderRequestID, HeaderCorrelationID} {
		switch {
		case r.Header.Get(name) == "":
			return noID.Saying("%s is missing.", name).With("no %s", name)
		case forOneHop(r.Header, name):
			return noID.Saying("The header Connection names %s, so it would not be forwarded.", name)
		}
	}
	return nil
}

// count takes a request of an application from the rates.
func (p *Proxy) count(w http.ResponseWriter, app string) *Outcome {
	wait, ok := p.Quota.Take(app)
	return waitFor(w, wait, ok)
}

// countAddress takes a request to the sandbox, where nobody proves anything, from the share of its address.
func (p *Proxy) countAddress(w http.ResponseWriter, r *http.Request) *Outcome {
	caller := p.Bodies.Caller
	if caller == nil {
		caller = connected
	}
	from := caller(r)
	wait, ok := p.Quota.TakeShare(share.Network(from.Address), from.Proven)
	return waitFor(w, wait, ok)
}

func connected(r *http.Request) share.Caller {
	address, _ := netip.ParseAddrPort(r.RemoteAddr) // whoever cannot be read shares one
	return share.Caller{Address: address.Addr()}
}

func waitFor(w http.ResponseWriter, wait time.Duration, ok bool) *Outcome {
	if ok {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	return tooMany
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

// describe answers with the API's OpenAPI description.
func describe(w http.ResponseWriter, r *http.Request) {
	Echo(w.Header(), r)
	openapi.Serve(w, r)
}

// answerJSON answers with a value of our own as JSON.
func answerJSON(status int, value any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeResource(w, r, status, "application/json", value)
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
