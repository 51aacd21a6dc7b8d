package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// Service answers everything below one token service's base path, which its caller has taken off the request's
// path already.
type Service struct {
	Options
	forms       []check
	assertions  []check
	application []check
	reading     chan struct{} // one for each form under way
	turns       turns
}

// New makes a Service. It opens nothing and starts nothing.
func New(options Options) (*Service, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	return &Service{
		Options: options,
		forms:   formChecks(), assertions: assertionChecks(), application: applicationChecks(),
		reading: make(chan struct{}, maxReading),
		turns:   newTurns(),
	}, nil
}

// ServeHTTP finds the endpoint, answers, and writes one line to the log for each refusal.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if allowOrigin(w, r) {
		return
	}
	err := s.route(w, r)
	if err == nil {
		return
	}
	answer := asError(err)
	messageID := s.messageID()
	s.logRefusal(r, answer, messageID)
	writeError(w, answer, messageID)
}

func (s *Service) route(w http.ResponseWriter, r *http.Request) error {
	handle, methods := s.postToken, "POST"
	switch r.URL.Path {
	case "/token":
	case "/_ping":
		handle, methods = s.ping, "GET, HEAD"
	case "/_status":
		handle, methods = s.status, "GET, HEAD"
	default:
		return &Error{Status: http.StatusNotFound, Code: codeInvalidRequest, Description: "Not Found"} // row 27
	}
	for allowed := range strings.SplitSeq(methods, ", ") {
		if allowed == r.Method {
			return handle(w, r)
		}
	}
	w.Header().Set("Allow", methods)
	return &Error{Status: http.StatusMethodNotAllowed} // row 0: an empty body
}

// postToken takes a token request through the checks, in the contract's order.
func (s *Service) postToken(w http.ResponseWriter, r *http.Request) error {
	if !isForm(r.Header.Get("Content-Type")) {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: codeInvalidRequest,
			Description: "Content-Type header must be application/x-www-form-urlencoded"} // row 1
	}
	base, err := s.BaseURL(r)
	if err != nil {
		return err
	}
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	default:
		return fmt.Errorf("%w: %d token requests are under way", errContended, maxReading)
	}
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	c := &call{Service: s, form: form, audience: base + "/token"}
	c.findKey = func(client, kid string) (*jwks.Key, error) { return s.Keys.Key(ctx, client, kid) }
	for _, checks := range [][]check{s.forms, s.assertions, s.application} {
		if err := c.run(checks); err != nil {
			return err
		}
	}
	issued, err := s.issue(ctx, c)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, issued)
	return nil
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

// messageID names one answer, in the log too.
func (s *Service) messageID() string {
	id, err := uuid.NewRandomFromReader(s.Rand)
	if err != nil {
		return uuid.NewString()
	}
	return id.String()
}

// logRefusal writes who was refused what and why, without anything secret: a caller's fault is news, ours is a
// warning or an error.
func (s *Service) logRefusal(r *http.Request, e *Error, messageID string) {
	level := slog.LevelInfo
	switch {
	case e.Status == http.StatusInternalServerError:
		level = slog.LevelError
	case e.Status > http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	s.Logger.LogAttrs(context.WithoutCancel(r.Context()), level, "token request refused",
		slog.Int("status", e.Status), slog.String("error", e.Code), slog.String("description", e.Description),
		slog.String("detail", e.detail), slog.String("message_id", messageID))
}
