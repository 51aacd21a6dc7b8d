package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-dd2befc3/countersign/description"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth/openapi"
)

// Service answers everything below one token service's base path, which its caller has taken off the request's
// path already.
type Service struct {
	Options
	forms       []check
	assertions  []check
	application []check
	turns       turns
}

// New makes a Service. It opens nothing and starts nothing.
func New(options Options) (*Service, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	if options.Keys == nil {
		return nil, errors.New("a token service needs keys")
	}
	return &Service{
		Options: options,
		forms:   formChecks(), assertions: assertionChecks(), application: applicationChecks(),
		turns: newTurns(),
	}, nil
}

// ServeHTTP finds the endpoint, answers, and writes one line to the log for each refusal.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if allowOrigin(w, r) {
		return
	}
	told := s.began(r)
	s.ended(w, r, told, s.route(w, r, told)) //nolint:contextcheck // a place's context is the request's, and ends when the place is given up
}

func (s *Service) route(w http.ResponseWriter, r *http.Request, told *Answer) error {
	handle, methods := func(w http.ResponseWriter, r *http.Request) error { return s.postToken(w, r, told) }, "POST"
	switch r.URL.Path {
	case "/token":
	case description.Path:
		handle, methods = s.describe, "GET, HEAD"
	case "/_ping":
		handle, methods = s.ping, "GET, HEAD"
	case "/_status":
		handle, methods = s.status, "GET, HEAD"
	default:
		return &Error{Status: http.StatusNotFound, Code: codeInvalidRequest, Description: "Not Found"} // row 27
	}
	told.Endpoint = r.URL.Path
	return only(methods, handle, w, r)
}

func (s *Service) describe(w http.ResponseWriter, r *http.Request) error {
	openapi.Serve(w, r)
	return nil
}

// only lets the methods through that an endpoint has.
func only(methods string, handle func(http.ResponseWriter, *http.Request) error, w http.ResponseWriter, r *http.Request) error {
	for allowed := range strings.SplitSeq(methods, ", ") {
		if allowed == r.Method {
			return handle(w, r)
		}
	}
	w.Header().Set("Allow", methods)
	return &Error{Status: http.StatusMethodNotAllowed} // row 0: an empty body
}

// postToken takes a token request through the checks, in the order of TOK-2.
func (s *Service) postToken(w http.ResponseWriter, r *http.Request, told *Answer) error {
	if !isForm(r.Header.Get("Content-Type")) {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: codeInvalidRequest,
			Description: "Content-Type header must be application/x-www-form-urlencoded"} // row 1
	}
	base, err := s.BaseURL(r)
	if err != nil {
		return err
	}
	return s.withForm(w, r, func(place *intake.Taken, form url.Values) error {
		answer, err := s.answerForm(place, form, base, told)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, answer)
		return nil
	})
}

func (s *Service) answerForm(place *intake.Taken, form url.Values, base string, told *Answer) (any, error) {
	ctx := place.Context()
	c := &call{Service: s, form: form, audience: base + "/token", place: place}
	c.findKey = func(client, kid string) (*jwks.Key, error) { return s.Keys.Key(ctx, client, kid) }
	if err := c.run(s.forms); err != nil {
		return nil, err
	}
	told.Grant = form.Get(paramGrantType)
	answer, err := s.grant(ctx, c)
	if c.assertion != nil || c.id != "" {
		told.Client = c.knownClient()
	}
	return answer, err
}

// grant is the grant that the form names, which is known.
func (s *Service) grant(ctx context.Context, c *call) (any, error) {
	switch c.form.Get(paramGrantType) {
	case grantCode:
		return s.redeemCode(ctx, c)
	case grantRefresh:
		return s.refresh(ctx, c)
	case grantExchange:
		return s.exchange(ctx, c)
	}
	for _, checks := range [][]check{s.assertions, s.application} {
		if err := c.run(checks); err != nil {
			return nil, err
		}
	}
	return s.issue(ctx, c)
}

// allowOrigin lets pages of any site ask, since nothing here rests on a cookie, and answers a preflight.
func allowOrigin(w http.ResponseWriter, r *http.Request) (preflight bool) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, PUT, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "origin, x-requested-with, accept, content-type")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusOK)
	return true
}
