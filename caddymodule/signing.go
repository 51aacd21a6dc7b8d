package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/signing"
)

func init() {
	caddy.RegisterModule(SigningService{})
}

// SigningService is a Signing Service. Mount it with handle_path, or strip its path in another way.
type SigningService struct {
	// PublicURL is the service's public address: the audience of signing requests, the base of redirects, and the origin
	// of the page. It may be omitted only if every listener is on loopback.
	PublicURL string `json:"public_url,omitempty"`

	// Access is "bearer" if callers must show an access token of this gateway. "open" is only for the sandbox and for
	// loopback listeners.
	Access string `json:"access,omitempty"`

	// Environment overrides the global one for this site.
	Environment Environment `json:"environment,omitempty"`

	SigningUser

	// Agents are the smartcard agents. The first one that serves the user is asked.
	Agents []*AgentClient `json:"agents,omitempty"`

	// Mock is the mock smartcard agent, used for mock=true and if there are no Agents. Refused in production.
	Mock *AgentClient `json:"mock,omitempty"`

	// Certificates configures which certificates a signature may use.
	Certificates Certificates `json:"certificates,omitzero"`

	// Display configures whether the page shows the prescriptions to be signed.
	Display Display `json:"display,omitzero"`

	// StatusKey is the value of the header apikey that /_status requires. Without a key, /_status is closed. It may be a
	// placeholder such as {env.STATUS_KEY}.
	StatusKey string `json:"status_key,omitempty"`

	SignWithin caddy.Duration `json:"sign_within,omitempty"` // from request to signature; default 30m
	KeepResult caddy.Duration `json:"keep_result,omitempty"` // how long signatures can be fetched; default 1h
	Lease      caddy.Duration `json:"lease,omitempty"`       // how long a dead node holds a session in signing; default 30s
	ClockSkew  caddy.Duration `json:"clock_skew,omitempty"`  // tolerated clock difference; default 1m
	Tries      int            `json:"tries,omitempty"`       // runs of an agent before a session fails; default 5
	Once       bool           `json:"once,omitempty"`        // signatures can be fetched only once

	// Accept names the production rules to waive for this site: clock_skew.
	Accept []string `json:"accept,omitempty"`

	app     *App
	service signingService
	mount   *Mount
}

// signingService is a signing.Service, or a signing.Sandbox.
type signingService interface {
	http.Handler
	Health(ctx context.Context) signing.Health
}

// CaddyModule returns the module's name for Caddy.
func (SigningService) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.signing_service", New: func() caddy.Module { return new(SigningService) }}
}

// Provision makes the service. It opens no store and no connection.
func (s *SigningService) Provision(ctx caddy.Context) error {
	var err error
	if s.app, err = app(ctx); err != nil {
		return fmt.Errorf("signing_service: %w", err)
	}
	s.app.services = append(s.app.services, s)
	s.mount = NewMount("signing_service", s.PublicURL, ctx.Slogger(),
		"signaturerequest", "signatureresponse", "client", "jwks.json", "openapi.json", "_ping", "_status")
	if err := s.app.ClaimURL(ctx, "signing_service", s.PublicURL, s); err != nil {
		return fmt.Errorf("signing_service: %w", err)
	}
	if s.Environment == "" {
		s.Environment = s.app.Environment
	}
	if err := s.app.JoinSite(ctx, s.Environment, "signing_service "+s.PublicURL); err != nil {
		return fmt.Errorf("signing_service %s: %w", s.PublicURL, err)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("signing_service %s: %w", s.PublicURL, err)
	}
	statusKey, err := caddy.NewReplacer().ReplaceOrErr(s.StatusKey, true, true)
	if err != nil {
		return fmt.Errorf("signing_service %s: status_key: %w", s.PublicURL, err)
	}
	if s.Environment == Sandbox {
		s.service, err = signing.NewSandbox(signing.SandboxOptions{
			BaseURL: s.baseURL, Clients: s.app.signingClients(), StatusKey: statusKey, Version: Version(),
			Observer: s.app.observer(), Logger: ctx.Slogger(),
			Requests: s.app.Group(PoolRequests), Calls: s.app.Group(PoolCalls),
		})
		return err
	}
	options, err := s.options(ctx, statusKey)
	if err != nil {
		return fmt.Errorf("signing_service %s: %w", s.PublicURL, err)
	}
	s.service, err = signing.New(options)
	if err != nil {
		return fmt.Errorf("signing_service %s: %w", s.PublicURL, err)
	}
	return nil
}

func (s *SigningService) options(ctx caddy.Context, statusKey string) (signing.Options, error) {
	trust, err := s.app.trust(&s.Certificates, s.Environment)
	if err != nil {
		return signing.Options{}, err
	}
	signIn, err := s.signIn()
	if err != nil {
		return signing.Options{}, err
	}
	sessions := s.app.Store().(lazyStore)
	options := signing.Options{
		Environment: string(s.Environment), BaseURL: s.baseURL, Access: s.access(),
		Clients: s.app.signingClients(), Keys: s.app.keys, Store: sessions, Quotas: s.app.quotas, Runner: sessions, Trust: trust,
		SignIn: signIn, SealSignIns: s.app.signInSecret(),
		Displays: s.Display.source(s.app), DisplayRules: s.Display.rules(),
		Durations: signing.Durations{
			Sign: time.Duration(s.SignWithin), Result: time.Duration(s.KeepResult),
			Lease: time.Duration(s.Lease), Skew: time.Duration(s.ClockSkew),
		},
		Tries: s.Tries, Once: s.Once, PublicKeys: s.app.ring.PublicSet, Version: Version(), StatusKey: statusKey,
		Webhooks: s.app.webhooks(),
		Span:     span, Observer: s.app.observer(), Hold: s.app.HoldRefusal,
		Requests: s.app.Group(PoolRequests), Working: s.app.Group(PoolWorking), Calls: s.app.Group(PoolCalls), SignIns: s.app.Group(PoolSignIns),
		Auditor: s.app.auditor(), AuditOptional: s.app.Audit.Optional,
		Now: s.app.now, Logger: ctx.Slogger(),
	}
	s.app.expiries.Watch("issuer", trust.Issuers...)
	for _, agent := range s.Agents {
		route, err := agent.route(ctx)
		if err != nil {
			return signing.Options{}, err
		}
		options.Agents = append(options.Agents, route)
	}
	if s.Mock != nil {
		route, err := s.Mock.route(ctx)
		if err != nil {
			return signing.Options{}, fmt.Errorf("mock: %w", err)
		}
		options.Mock = &route
	}
	return options, nil
}

// access is the authorizer for callers.
func (s *SigningService) access() func(*http.Request) (signing.Caller, error) {
	if s.Access == "bearer" {
		return s.signingDoor()
	}
	return loopbackAlone
}

// loopbackAlone admits every caller on this machine.
func loopbackAlone(r *http.Request) (signing.Caller, error) {
	if !loopback(r) {
		return signing.Caller{}, &signing.Error{Status: http.StatusForbidden, Code: "access_open",
			Message: "This service has access open, which serves only loopback listeners: its operator must set access bearer to serve others"}
	}
	return signing.Caller{}, nil
}

// baseURL returns the public URL or, for a service on loopback without one, the address of the request.
func (s *SigningService) baseURL(r *http.Request) (string, error) {
	if s.PublicURL != "" {
		return s.PublicURL, nil
	}
	base, ok := loopbackBase(r)
	if !ok {
		return "", &signing.Error{Status: http.StatusMisdirectedRequest, Code: "public_url", Message: needsPublicURL}
	}
	return base, nil
}

// ServeHTTP answers everything below the service's path.
func (s *SigningService) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	s.mount.Look(r)
	s.Environment.strictTransport(w, s.PublicURL)
	return intake.Serve(w, r, s.service)
}

// Cleanup closes the configuration's idle connections to agents. A running job keeps its own connection until it ends.
func (s *SigningService) Cleanup() error {
	var err error
	for _, agent := range append([]*AgentClient{s.Mock}, s.Agents...) {
		if agent != nil && agent.Transport != nil {
			err = errors.Join(err, agent.Transport.Cleanup())
		}
	}
	return err
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*SigningService)(nil)
	_ caddy.CleanerUpper          = (*SigningService)(nil)
	_ caddyhttp.MiddlewareHandler = (*SigningService)(nil)
)
