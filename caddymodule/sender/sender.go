// Package sender is the directive apim_sender: it stands between a plain-HTTP application and NHS England's API Management,
// and gives each request the access token and the headers that are wanted there, or brokers it to a BaRS proxy by itself.
//
//	sender.go     a request's way, and its second try with a new token
//	exchange.go   what is kept of a request and held back of an answer, so that there can be a second try
//	bars.go       the way to a BaRS proxy
//	config.go     keys, addresses and headers, from the configuration
//	caddyfile.go  the syntax
//
// It fetches tokens by package oauth, and knows of the countersign app its environment, its clock and its rules for
// outgoing requests.
package sender

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/oauth"
)

func init() {
	caddy.RegisterModule(Sender{})
}

// Sender gives a plain-HTTP application, in front of reverse_proxy, its access token and the headers that API
// Management wants (BAR-2). The token is fetched with the application's own key, kept, and renewed
// early. A request that the proxy refuses for its token is sent once more with a new one.
type Sender struct {
	// Environment decides where tokens come from, and overrides the global one for this site. The sandbox takes none.
	Environment caddymodule.Environment `json:"environment,omitempty"`

	// TokenURL is the token service. Default: the environment's own at NHS England.
	TokenURL string `json:"token_url,omitempty"`

	// Audience of the assertions. Default: the token URL.
	Audience string `json:"audience,omitempty"`

	Keys

	// Providers are for a supplier who hosts many, each with a key of its own, by name.
	Providers map[string]*Keys `json:"providers,omitempty"`

	// Provider says whose key it is for each request: a placeholder such as {http.request.header.X-Provider}, that
	// gives the name of one of the Providers.
	Provider string `json:"provider,omitempty"`

	// Organisation is the FHIR Organization of the end user, and Software the FHIR Device that sends: JSON, which
	// becomes the headers NHSD-End-User-Organisation and NHSD-Requesting-Software.
	Organisation string `json:"organisation,omitempty"`
	Software     string `json:"software,omitempty"`

	// Accept is the header Accept of every request, such as application/fhir+json; version=1.2.0.
	Accept string `json:"accept,omitempty"`

	// Replay is how many bytes of a request's body are kept for sending it once more. Default 1 MiB; requests with
	// a larger body are sent once only.
	Replay int `json:"replay,omitempty"`

	// Bars sends to a BaRS proxy, without a reverse_proxy.
	Bars *Bars `json:"bars,omitempty"`

	sources map[string]*oauth.Source // by provider; "" where there are none
	headers map[string]string        // that every request gets
	http    *http.Client
	logger  *slog.Logger
}

// Keys are whose tokens are fetched, and with which key.
type Keys struct {
	// Client is the application's API key: iss and sub of its assertions. May be a placeholder such as {env.API_KEY}.
	Client string `json:"client,omitempty"`
	// Key is the current private key.
	Key *Key `json:"key,omitempty"`
	// Next is the private key that follows. It is used from an hour after its Published; until the token service
	// knows it, the current one goes on.
	Next *Key `json:"next,omitempty"`
}

// Key is a private key in a PEM file, and its kid.
type Key struct {
	KID       string    `json:"kid"`
	Path      string    `json:"path"`
	Published time.Time `json:"published,omitzero"` // of the next key: when its public half was published
}

const defaultReplay = 1 << 20

// CaddyModule returns the module's name for Caddy.
func (Sender) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.apim_sender", New: func() caddy.Module { return new(Sender) }}
}

// Provision reads the keys. It fetches nothing.
func (s *Sender) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err == nil {
		err = s.provision(ctx, app)
	}
	if err != nil {
		return fmt.Errorf("apim_sender: %w", err)
	}
	return nil
}

// Cleanup lets go of the connections to the token service.
func (s *Sender) Cleanup() error {
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	if s.Bars != nil {
		return s.Bars.cleanup()
	}
	return nil
}

// ServeHTTP sends the request on with what it needs, and once more where its token was refused.
func (s *Sender) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return intake.Guard(w, r, func(w http.ResponseWriter, r *http.Request) error { return s.serve(w, r, next) })
}

func (s *Sender) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	body, err := keepBody(r, int64(s.Replay))
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	s.setHeaders(r, body)
	if s.Bars != nil {
		next = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return s.Bars.ServeHTTP(w, r) })
	}
	if s.Environment == caddymodule.Sandbox {
		r.Header.Del("Authorization")
		intake.PassOn(r)
		return next.ServeHTTP(w, r)
	}
	source, err := s.sourceFor(r)
	if err != nil {
		return s.fail(w, r, err)
	}
	token, err := source.Token(r.Context())
	if err != nil {
		return s.fail(w, r, err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	intake.PassOn(r)
	first := &heldAnswer{ResponseWriter: w, header: w.Header().Clone()}
	if err := next.ServeHTTP(first, r); err != nil || !first.refusesToken() || !body.rewind(r) {
		return errors.Join(err, first.release())
	}
	source.Invalidate(token)
	renewed, err := source.Token(r.Context())
	if err != nil {
		s.logger.LogAttrs(r.Context(), slog.LevelWarn, "a token was refused, and there is no new one", slog.Any("error", err))
		return first.release()
	}
	s.logger.LogAttrs(r.Context(), slog.LevelInfo, "a token was refused; the request is sent once more with a new one",
		slog.String("request_id", r.Header.Get("X-Request-Id")))
	r.Header.Set("Authorization", "Bearer "+renewed)
	return next.ServeHTTP(w, r)
}

// sourceFor is where the request's token comes from.
func (s *Sender) sourceFor(r *http.Request) (*oauth.Source, error) {
	if len(s.Providers) == 0 {
		return s.sources[""], nil
	}
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return nil, errors.New("the request's provider cannot be found out")
	}
	source := s.sources[replacer.ReplaceAll(s.Provider, "")]
	if source == nil {
		return nil, errUnknownProvider
	}
	return source, nil
}

var errUnknownProvider = errors.New("the request names no provider that this sender has a key for")

// fail tells the application, in JSON, why its request was not sent.
func (s *Sender) fail(w http.ResponseWriter, r *http.Request, err error) error {
	status, code := http.StatusBadGateway, "no_token"
	switch {
	case errors.Is(err, errUnknownProvider):
		status, code = http.StatusBadRequest, "unknown_provider"
	case r.Context().Err() != nil:
		return caddyhttp.Error(499, err) // the application went away
	}
	s.logger.LogAttrs(r.Context(), slog.LevelWarn, "a request was not sent on: the fault is the sender's, or its token service's",
		slog.String("request_id", r.Header.Get("X-Request-Id")), slog.Any("error", err))
	if s.Bars != nil {
		outcome := &bars.Outcome{Status: status, Issue: "security", Code: "SEND_UNAUTHORIZED", Text: err.Error(), Fault: bars.FaultSender}
		outcome.Write(w, r)
		return nil
	}
	told, err := json.Marshal(map[string]string{"error": code, "error_description": err.Error()})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(told) // an application that has gone needs no answer
	return nil
}

// setHeaders gives the request what API Management wants besides its token (BAR-2.4 to BAR-2.6).
func (s *Sender) setHeaders(r *http.Request, body *keptBody) {
	if r.Header.Get("X-Request-Id") == "" {
		r.Header.Set("X-Request-Id", uuid.NewString())
	}
	if r.Header.Get("X-Correlation-Id") == "" && begins(r.Method, body) {
		r.Header.Set("X-Correlation-Id", uuid.NewString())
	}
	for name, value := range s.headers {
		r.Header.Set(name, value)
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Sender)(nil)
	_ caddy.CleanerUpper          = (*Sender)(nil)
	_ caddyhttp.MiddlewareHandler = (*Sender)(nil)
)
