package smartcard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/description"
	"github.com/seed-dd2befc3/countersign/smartcard/openapi"
)

// Signer holds the card.
type Signer interface {
	// Sign signs every payload of the validated job and reports to out as it goes. It stops when ctx ends or out
	// returns an error. nil means that every item was signed, or that one failed and was reported to out. An *Error
	// returned before anything was sent is answered with its code. Once something was sent, any error breaks the
	// connection, so that the gateway cannot take the answer for complete: use Stream.Fail to tell the gateway why.
	Sign(ctx context.Context, job Job, out *Stream) error

	// Health reports whether Sign could work now.
	Health(ctx context.Context) (Health, error)
}

var (
	// ErrReset breaks, when a Signer returns it, the connection at once.
	ErrReset = errors.New("smartcard: the signer broke the connection")

	// ErrEnded ends, when a Signer returns it, the answer without a done line: the signer wrote its own by Stream.Line,
	// or wants none. Mocks use it to lie.
	ErrEnded = errors.New("smartcard: the signer ended the answer itself")
)

// ServerOptions say who may request whose signatures.
type ServerOptions struct {
	// Signer holds the card. Mandatory.
	Signer Signer

	// AllowClients are the subject alternative names of the client certificates that may ask: DNS names (compared
	// case-insensitively), URIs, e-mail and IP addresses (compared exactly). Mandatory, because every other site of
	// the same internal CA also has a certificate.
	AllowClients []string

	// Users are the user ids served; * stands for any characters, as in 5550*. Empty: every user.
	Users []string

	// MaxBody bounds a request's body, in bytes. Default and maximum: MaxBody, 2 MiB.
	MaxBody int64

	// MaxJobs bounds the concurrent jobs, including those whose body is still being read. Default: 16.
	MaxJobs int

	// Timeout bounds one job, so that a gateway that vanished does not hold the card. Default: 10 minutes.
	Timeout time.Duration

	// Logger receives each job with its id, client and counts, never its user or payloads. Default: nothing is
	// logged.
	Logger *slog.Logger

	// Now is the clock for the log. Default: time.Now.
	Now func() time.Time
}

// Server is an http.Handler for an agent's POST /sign, GET /health and GET /openapi.json. Serve it over TLS that
// requests and verifies client certificates; without a verified certificate it answers only 403.
type Server struct {
	signer  Signer
	allow   names
	users   []string
	maxBody int64
	slots   chan struct{}
	timeout time.Duration
	log     *slog.Logger
	now     func() time.Time
}

// NewServer checks the options.
func NewServer(o ServerOptions) (*Server, error) {
	switch {
	case o.Signer == nil:
		return nil, errors.New("smartcard agent: no signer")
	case len(o.AllowClients) == 0:
		return nil, errors.New("smartcard agent: no allow_client: name a subject alternative name of the gateway's client certificate")
	case o.MaxBody < 0 || o.MaxBody > MaxBody:
		return nil, fmt.Errorf("smartcard agent: a body may have at most %d bytes", MaxBody)
	case o.MaxJobs < 0 || o.Timeout < 0:
		return nil, errors.New("smartcard agent: limits must not be negative")
	}
	allow, err := parseNames(o.AllowClients)
	if err != nil {
		return nil, fmt.Errorf("smartcard agent: %w", err)
	}
	if err := checkUsers(o.Users); err != nil {
		return nil, fmt.Errorf("smartcard agent: %w", err)
	}
	s := &Server{signer: o.Signer, allow: allow, users: o.Users, maxBody: o.MaxBody, timeout: o.Timeout, log: o.Logger, now: o.Now}
	if s.maxBody == 0 {
		s.maxBody = MaxBody
	}
	if o.MaxJobs == 0 {
		o.MaxJobs = 16
	}
	s.slots = make(chan struct{}, o.MaxJobs)
	if s.timeout == 0 {
		s.timeout = 10 * time.Minute
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// ServeHTTP answers one request. It checks the caller before anything else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	client, refused := s.client(r)
	if refused != nil {
		s.log.WarnContext(r.Context(), "smartcard request refused", "remote", r.RemoteAddr, "code", refused.Code)
		refused.write(w)
		return
	}
	switch {
	case r.URL.Path == pathSign && r.Method == http.MethodPost:
		s.serveSign(w, r, client)
	case r.URL.Path == pathHealth && reads(r):
		s.serveHealth(w, r)
	case r.URL.Path == description.Path && reads(r):
		openapi.Serve(w, r)
	case r.URL.Path == pathSign:
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, "method", "use POST").write(w)
	case r.URL.Path == pathHealth || r.URL.Path == description.Path:
		w.Header().Set("Allow", http.MethodGet)
		refuse(http.StatusMethodNotAllowed, "method", "use GET").write(w)
	default:
		refuse(http.StatusNotFound, "not_found", "this is a smartcard agent: POST /sign or GET /health").write(w)
	}
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// client returns the name of the verified client certificate that admits the request.
func (s *Server) client(r *http.Request) (string, *answered) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return "", refuse(http.StatusForbidden, "client_certificate", "a client certificate is required")
	}
	san, ok := s.allow.match(r.TLS.VerifiedChains[0][0])
	if !ok {
		return "", refuse(http.StatusForbidden, "client_not_allowed", "this client certificate is not in allow_client")
	}
	return san, nil
}

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", description.Link)
	health, err := s.signer.Health(r.Context())
	if err != nil {
		s.log.WarnContext(r.Context(), "smartcard health failed", "error", err)
		refuse(http.StatusServiceUnavailable, "unavailable", "the agent cannot report its health").write(w)
		return
	}
	writeJSON(w, http.StatusOK, health)
}

func (s *Server) serveSign(w http.ResponseWriter, r *http.Request, client string) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(http.StatusServiceUnavailable, "busy", "too many jobs in progress: try again").write(w)
		return
	}
	job, refused := s.readJob(w, r)
	if refused != nil {
		s.log.WarnContext(r.Context(), "smartcard job refused", "client", client, "code", refused.Code, "status", refused.status)
		refused.write(w)
		return
	}
	began := s.now()
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout)
	defer cancel()
	out := newStream(ctx, w, job)
	err := s.signer.Sign(ctx, job, out)
	if err == nil && out.settled.Failed == 0 && len(out.open) > 0 {
		err = errors.New("the signer returned with items unsigned and not failed")
	}
	if err == nil {
		err = out.send(Event{Done: &out.settled})
	}
	log := s.log.With("job", job.Job, "client", client, "algorithm", job.Algorithm, "items", len(job.Payloads),
		"signed", out.settled.Signed, "failed", out.settled.Failed, "took", s.now().Sub(began))
	if err != nil {
		log.WarnContext(ctx, "smartcard job not completed", "error", err)
	} else {
		log.InfoContext(ctx, "smartcard job done")
	}
	s.end(w, out, err)
}

// end closes the answer according to the signer's error.
func (s *Server) end(w http.ResponseWriter, out *Stream, err error) {
	var known *Error
	switch {
	case err == nil || errors.Is(err, ErrEnded):
		_ = optional(out.out.SetWriteDeadline(time.Time{})) // the connection may serve another request
	case out.begun || errors.Is(err, ErrReset) || out.ctx.Err() != nil:
		panic(http.ErrAbortHandler) // the one way to break a connection, which net/http and Caddy expect
	case errors.As(err, &known):
		a := refuse(http.StatusConflict, known.Code, known.Message)
		if known.Message == "" {
			a.Message = advice[known.Code]
		}
		a.Final = known.Final
		a.write(w)
	default:
		refuse(http.StatusInternalServerError, "internal", "the agent failed: see its log").write(w)
	}
}

// answered is an answer instead of a stream.
type answered struct {
	Failure
	status int
}

func refuse(status int, code, message string) *answered {
	return &answered{Failure{Code: code, Message: message}, status}
}

func (a *answered) write(w http.ResponseWriter) { writeJSON(w, a.status, a.Failure) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // only text that is not UTF-8 fails
		status, text = http.StatusInternalServerError, []byte(`{"code":"internal","message":"the agent failed"}`)
	}
	text = append(text, '\n')
	w.Header().Set("Content-Type", mediaJob)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // JSON by media type and nosniff; and nobody is left to tell of an error
}
