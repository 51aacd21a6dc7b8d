// Package sender provides the directive apim_sender. It stands between a plain HTTP application and NHS England's API
// Management and adds the access token and the headers required there, or forwards to a BaRS proxy itself.
//
//	sender.go     the path of a request, and its second attempt with a new token
//	exchange.go   what is kept of a request and held back of an answer for a second attempt
//	bars.go       the route to a BaRS proxy
//	config.go     keys, addresses and headers, from the configuration
//	caddyfile.go  the syntax
//
// It fetches tokens with package oauth, and takes the environment, the clock and the rules for outbound requests from
// the countersign app.
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
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/oauth"
)

func init() {
	caddy.RegisterModule(Sender{})
}

// Sender adds to the requests of a plain HTTP application, in front of reverse_proxy, the access token and the
// headers API Management requires (BAR-2). The token is obtained with the application's own key, cached, and renewed
// early. If the proxy refuses a request because of its token, the request is sent once more with a new one.
type Sender struct {
	// Environment selects the token service and overrides the global environment for this site. The sandbox takes no
	// token.
	Environment caddymodule.Environment `json:"environment,omitempty"`

	// TokenURL is the token service. Default: NHS England's own for the environment.
	TokenURL string `json:"token_url,omitempty"`

	// Audience is the audience of the assertions. Default: the token URL.
	Audience string `json:"audience,omitempty"`

	Keys

	// Providers is for a supplier that hosts several providers, each with its own key, by name.
	Providers map[string]*Keys `json:"providers,omitempty"`

	// Provider is a placeholder that gives the name of a request's provider, such as
	// {http.request.header.X-Provider}.
	Provider string `json:"provider,omitempty"`

	// Organisation is the end user's FHIR Organization and Software the sending FHIR Device, in JSON. They are sent
	// in the headers NHSD-End-User-Organisation and NHSD-Requesting-Software.
	Organisation string `json:"organisation,omitempty"`
	Software     string `json:"software,omitempty"`

	// Accept is the header Accept of every request, such as application/fhir+json; version=1.2.0.
	Accept string `json:"accept,omitempty"`

	// Replay is how many bytes of a request's body are kept to send it again. Default: 1 MiB. Requests with a larger
	// body are sent only once.
	Replay int `json:"replay,omitempty"`

	// Bars forwards to a BaRS proxy, without a reverse_proxy.
	Bars *Bars `json:"bars,omitempty"`

	sources map[string]*oauth.Source // by provider; "" without providers
	headers map[string]string        // added to every request
	bodies  *intake.Group
	http    *http.Client
	logger  *slog.Logger
}

// Keys say whose tokens are obtained, and with which key.
type Keys struct {
	// Client is the application's API key, the iss and sub of its assertions. It may be a placeholder such as
	// {env.API_KEY}.
	Client string `json:"client,omitempty"`
	// Key is the current private key.
	Key *Key `json:"key,omitempty"`
	// Next is the private key that comes after Key. It is used from an hour after its Published; while the token
	// service does not know it yet, Key stays in use.
	Next *Key `json:"next,omitempty"`
}

// Key is a private key in a PEM file, with its kid.
type Key struct {
	KID       string    `json:"kid"`
	Path      string    `json:"path"`
	Published time.Time `json:"published,omitzero"` // of the next key: when its public key was published
}

const defaultReplay = 1 << 20

// CaddyModule returns the module's information for Caddy.
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

// Cleanup closes the connections to the token service.
func (s *Sender) Cleanup() error {
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	if s.Bars != nil {
		return s.Bars.cleanup()
	}
	return nil
}

// ServeHTTP forwards the request with token and headers, and once more if its token was refused.
func (s *Sender) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return intake.Guard(w, r, func(w http.ResponseWriter, r *http.Request) error { return s.serve(w, r, next) })
}

func (s *Sender) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	place, err := s.bodies.Take(w, r)
	if err != nil {
		return s.crowded(w, r, err)
	}
	defer place.Release()
	body, err := keepBody(place, r, int64(s.Replay))
	switch {
	case errors.Is(err, share.ErrGivenUp), errors.Is(err, share.ErrFull):
		return s.crowded(w, r, err)
	case errors.Is(err, intake.ErrSlow):
		return s.refuse(w, r, bars.SlowSender, err)
	case err != nil:
		return s.refuse(w, r, bars.BadBody, err)
	}
	bars.DropHop(r.Header)
	bars.SendOnce(r)
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
		s.logger.LogAttrs(r.Context(), slog.LevelWarn, "access token refused and no new one obtained", slog.Any("error", err))
		return first.release()
	}
	s.logger.LogAttrs(r.Context(), slog.LevelInfo, "access token refused, repeating the request with a new one",
		slog.String("request_id", r.Header.Get("X-Request-Id")))
	r.Header.Set("Authorization", "Bearer "+renewed)
	return next.ServeHTTP(w, r)
}

// crowded answers an application where more send than there is room for.
func (s *Sender) crowded(w http.ResponseWriter, r *http.Request, err error) error {
	w.Header().Set("Retry-After", "1")
	return s.refuse(w, r, bars.Crowded, err)
}

// refuse answers an application whose request was not sent: with an OperationOutcome on the way to a BaRS proxy.
func (s *Sender) refuse(w http.ResponseWriter, r *http.Request, outcome *bars.Outcome, err error) error {
	if s.Bars == nil {
		return caddyhttp.Error(outcome.Status, err)
	}
	s.logger.LogAttrs(r.Context(), slog.LevelInfo, "request not forwarded", slog.String("fault", string(outcome.Fault)),
		slog.String("request_id", r.Header.Get("X-Request-Id")), slog.Any("error", err))
	outcome.Write(w, r)
	return nil
}

// sourceFor returns the source of the request's token.
func (s *Sender) sourceFor(r *http.Request) (*oauth.Source, error) {
	if len(s.Providers) == 0 {
		return s.sources[""], nil
	}
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return nil, errors.New("cannot determine the request's provider")
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
		return caddyhttp.Error(499, err) // the application has gone
	}
	s.logger.LogAttrs(r.Context(), slog.LevelWarn, "request not forwarded: the sender or its token service failed",
		slog.String("request_id", r.Header.Get("X-Request-Id")), slog.Any("error", err))
	if s.Bars != nil {
		outcome := bars.BadToken.Saying("%v", err)
		outcome.Status = status
		outcome.Write(w, r)
		return nil
	}
	told, err := json.Marshal(map[string]string{"error": code, "error_description": err.Error()})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(told) // the application may have gone
	return nil
}

// setHeaders adds the headers API Management requires besides the token (BAR-2.4 to BAR-2.6). What the application sets
// itself stays (BAR-5.21); an Accept of */*, which HTTP clients add by themselves, says nothing.
func (s *Sender) setHeaders(r *http.Request, body *keptBody) {
	if r.Header.Get("X-Request-Id") == "" {
		r.Header.Set("X-Request-Id", uuid.NewString())
	}
	if r.Header.Get("X-Correlation-Id") == "" && begins(r.Method, body) {
		r.Header.Set("X-Correlation-Id", uuid.NewString())
	}
	for name, value := range s.headers {
		if own := r.Header.Get(name); own == "" || name == "Accept" && own == "*/*" {
			r.Header.Set(name, value)
		}
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Sender)(nil)
	_ caddy.CleanerUpper          = (*Sender)(nil)
	_ caddyhttp.MiddlewareHandler = (*Sender)(nil)
)
