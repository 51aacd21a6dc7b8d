package signing

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/signing/openapi"
	"github.com/seed-dd2befc3/countersign/signing/page"
)

const (
	headerRequestID     = "X-Request-Id"
	headerCorrelationID = "X-Correlation-Id"
)

// Service answers everything below one signing service's base path, which its caller has taken off the
// request's path already.
type Service struct {
	Options
	assets   http.Handler
	sessions *sessions
}

// New makes a Service. It opens nothing and starts nothing.
func New(options Options) (*Service, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	packer, err := newPacker()
	if err != nil {
		return nil, err
	}
	return &Service{
		Options: options,
		assets:  http.StripPrefix("/page", page.Assets()),
		sessions: &sessions{
			store: options.Store, now: options.Now, tries: options.Tries, packer: packer,
			entered: options.Observer.Entered, queued: options.Webhooks.queued(),
		},
	}, nil
}

// handler answers one endpoint; what it returns as an error becomes the answer.
type handler func(w http.ResponseWriter, r *http.Request) error

// endpoint finds the handler of a path, and the methods it takes.
func (s *Service) endpoint(path string) (handle handler, methods string) {
	switch path {
	case "/signaturerequest":
		return s.postRequest, "POST"
	case "/client":
		return s.showPage, "GET, HEAD"
	case "/client/browser":
		return s.knowBrowser, "POST"
	case "/client/open":
		return s.openSession, "POST"
	case "/client/signed-in":
		return s.finishSignIn, "GET"
	case "/client/display":
		return s.showPrescriptions, "POST"
	case "/client/session":
		return s.watchSession, "GET"
	case "/client/sign":
		return s.startSigning, "POST"
	case "/client/keep":
		return s.keepSigning, "POST"
	case "/client/answer":
		return s.takeAnswer, "POST"
	case "/client/looked":
		return s.keepLooks, "POST"
	case "/client/decline":
		return s.declineSession, "POST"
	case "/client/cancel":
		return s.cancelSession, "POST"
	case "/jwks.json":
		return s.publishKeys, "GET, HEAD"
	case "/openapi.json":
		return s.describe, "GET, HEAD"
	case "/_ping":
		return s.ping, "GET, HEAD"
	case "/_status":
		return s.status, "GET, HEAD"
	}
	switch {
	case strings.HasPrefix(path, "/signatureresponse/"):
		return s.getResponse, "GET"
	case strings.HasPrefix(path, "/page/"):
		return s.serveAsset, "GET, HEAD"
	}
	return nil, ""
}

// ServeHTTP finds the endpoint, answers, and writes one line to the log for each refusal.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setCommonHeaders(w, r)
	handle, methods := s.endpoint(r.URL.Path)
	s.serve(w, r, handle, methods)
}

// serve runs a handler and turns its error into an answer and a line in the log.
func (o *Options) serve(w http.ResponseWriter, r *http.Request, handle handler, methods string) {
	var err error
	began := o.Now()
	switch {
	case handle == nil:
		err = failure(http.StatusNotFound, "no_endpoint", "There is nothing at this path of the signing service")
	case !allows(methods, r.Method):
		w.Header().Set("Allow", methods)
		err = failure(http.StatusMethodNotAllowed, "method", "This path takes %s", methods)
	default:
		err = handle(w, r)
	}
	told := Answer{
		Time: began, Took: o.Now().Sub(began), Endpoint: "none", Code: "ok",
		RequestID: w.Header().Get(headerRequestID), CorrelationID: w.Header().Get(headerCorrelationID),
	}
	if handle != nil { // else the path may hold anything, such as a token
		told.Endpoint = endpointName(r.URL.Path)
	}
	if err != nil {
		refused := asError(err)
		told.Status, told.Code, told.Message, told.Finding = refused.Status, refused.Code, refused.Message, refused.finding
		if told.Check == "" {
			told.Check = refused.Code
		}
		logRefusal(r.Context(), o.Logger, told)
		if o.Hold != nil && refused.strange() {
			o.Hold(w, r)
		}
		if refused.to == "" && wantsPage(r) {
			o.writeProblem(w, r, refused)
		} else {
			writeError(w, refused)
		}
	}
	o.Observer.Answered(r.Context(), told)
}

func allows(methods, method string) bool {
	for allowed := range strings.SplitSeq(methods, ", ") {
		if allowed == method {
			return true
		}
	}
	return false
}

// setCommonHeaders echoes the caller's ids, or gives the request one, and sets what holds for every answer.
func setCommonHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	id := r.Header.Get(headerRequestID)
	if !printable(id) {
		id = uuid.NewString()
	}
	h.Set(headerRequestID, id)
	if correlation := r.Header.Get(headerCorrelationID); printable(correlation) {
		h.Set(headerCorrelationID, correlation)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

// printable says whether an id of the caller's can be echoed and logged as it is.
func printable(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// endpointName is the path of an endpoint without what a caller put into it.
func endpointName(path string) string {
	if strings.HasPrefix(path, "/signatureresponse/") {
		return "/signatureresponse"
	}
	if strings.HasPrefix(path, "/page/") {
		return "/page"
	}
	return path
}

func (s *Service) serveAsset(w http.ResponseWriter, r *http.Request) error {
	w.Header().Del("Cache-Control") // assets say themselves how long they keep
	s.assets.ServeHTTP(w, r)
	return nil
}

func (s *Service) describe(w http.ResponseWriter, r *http.Request) error {
	openapi.Serve(w, r)
	return nil
}

func (s *Service) publishKeys(w http.ResponseWriter, r *http.Request) error {
	if s.PublicKeys == nil {
		return failure(http.StatusNotFound, "no_endpoint", "This service publishes no keys")
	}
	set, err := s.PublicKeys(r.Context())
	if err != nil {
		return unavailable("own keys: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(set)
	return nil
}
