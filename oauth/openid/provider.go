package openid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/seed-dd2befc3/countersign/jwks"
)

const (
	discoveryLife = time.Hour       // of what the provider says of itself
	retryPause    = 2 * time.Second // after a discovery that failed
	minRefetch    = 5 * time.Second // between two fetches of its keys, which anybody's unknown kid can ask for
)

// DefaultScopes are asked for where Options names none.
var DefaultScopes = []string{oidc.ScopeOpenID}

// DefaultACR is asked for where neither Options nor a sign-in names acr_values (TOK-8.2).
const DefaultACR = "AAL3_ANY"

// Options are what a Provider needs. Issuer, ClientID, HTTP, and one of Secret and Signer, are mandatory.
type Options struct {
	Name     string       // for /_status; default: the issuer
	Issuer   string       // letter by letter as the provider has it
	ClientID string       // ours
	Secret   string       // client_secret_post
	Signer   *jwks.Signer // private_key_jwt, with RS512

	Scopes    []string // default: openid
	ACR       string   // acr_values of sign-ins that name none; default DefaultACR
	UserClaim string   // of the ID token: the user id; default sub

	HTTP   *http.Client     // says which addresses may be reached
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: nothing is logged
}

// levelClaim is the ID token's level of authentication assurance (TOK-7.1).
const levelClaim = "authentication_assurance_level"

// Provider is an OpenID provider. It implements oauth.Provider.
type Provider struct {
	Options
	keys *jwks.Cache
	turn chan struct{} // held by the one who discovers

	mu    sync.Mutex
	known *discovered
	tried time.Time // when discovery was last tried
	err   error     // of that try
}

// discovered is what the provider says of itself.
type discovered struct {
	*oidc.Provider
	metadata
	keys *jwks.Registry
	at   time.Time
}

// metadata is what is looked at beside what go-oidc looks at.
type metadata struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Info          string `json:"userinfo_endpoint"`
	Keys          string `json:"jwks_uri"`
	SaysIss       bool   `json:"authorization_response_iss_parameter_supported"`
}

// New makes a Provider. Nothing is fetched yet.
func New(options Options) (*Provider, error) {
	u, err := url.Parse(options.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("issuer %q is not an absolute https URL without user, query and fragment", options.Issuer)
	case options.ClientID == "" || options.HTTP == nil:
		return nil, errors.New("has no client id; add client_id with the one that the provider gave this gateway")
	case (options.Secret == "") == (options.Signer == nil):
		return nil, errors.New("needs either secret, or key with a kid and a private key, to prove itself to the provider")
	}
	if len(options.Scopes) == 0 {
		options.Scopes = DefaultScopes
	}
	if !slices.Contains(options.Scopes, oidc.ScopeOpenID) {
		return nil, errors.New("scopes must have openid among them, or the provider tells nobody's identity")
	}
	options.Name = cmp.Or(options.Name, options.Issuer)
	options.ACR = cmp.Or(options.ACR, DefaultACR)
	options.UserClaim = cmp.Or(options.UserClaim, "sub")
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	options.HTTP = bounded(options.HTTP)
	return &Provider{
		Options: options, turn: make(chan struct{}, 1),
		keys: jwks.NewCache(options.HTTP, jwks.CacheOptions{Now: options.Now, Logger: options.Logger, MinRefetch: minRefetch}),
	}, nil
}

// Close ends fetches that are under way.
func (p *Provider) Close() {
	p.keys.Close()
	p.HTTP.CloseIdleConnections()
}

// Issuer is the provider's issuer.
func (p *Provider) Issuer() string { return p.Options.Issuer }

// Name is what the provider is called in /_status.
func (p *Provider) Name() string { return p.Options.Name }

// ClientID is the gateway's own id at the provider.
func (p *Provider) ClientID() string { return p.Options.ClientID }

// discover returns what the provider says of itself.
func (p *Provider) discover(ctx context.Context) (*discovered, error) {
	known, fresh, err := p.look()
	if fresh || err != nil {
		return known, err
	}
	if known == nil {
		select {
		case p.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	} else {
		select {
		case p.turn <- struct{}{}:
		default:
			return known, nil // another caller is at it
		}
	}
	defer func() { <-p.turn }()
	if known, fresh, err = p.look(); fresh || err != nil { // it was done while we waited
		return known, err
	}
	found, err := p.fetch(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() == nil { // else it is the caller that went away
		p.tried, p.err = p.Now(), err
	}
	if err == nil {
		p.known = found
		p.Logger.LogAttrs(ctx, slog.LevelInfo, "an OpenID provider was discovered", slog.String("issuer", p.Issuer()))
		return found, nil
	}
	p.Logger.LogAttrs(ctx, slog.LevelWarn, "an OpenID provider could not be discovered; check issuer, and allow_networks for a private address",
		slog.String("issuer", p.Issuer()), slog.Bool("known", known != nil), slog.String("error", err.Error()))
	if known != nil {
		return known, nil
	}
	return nil, err
}

// look returns what is known. With none, the failure of a moment ago is shared.
func (p *Provider) look() (known *discovered, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	paused := p.err != nil && now.Sub(p.tried) < retryPause
	switch {
	case p.known == nil && paused:
		return nil, false, p.err
	case p.known == nil:
		return nil, false, nil
	}
	return p.known, paused || now.Sub(p.known.at) < discoveryLife, nil
}

func (p *Provider) fetch(ctx context.Context) (*discovered, error) {
	found := &discovered{at: p.Now()}
	var err error
	if found.Provider, err = oidc.NewProvider(p.with(ctx), p.Issuer()); err != nil {
		return nil, fmt.Errorf("discovery: %w", clipped(err))
	}
	if err := found.Claims(&found.metadata); err != nil {
		return nil, fmt.Errorf("discovery: %w", clipped(err))
	}
	if err := p.checkEndpoint(found.Authorization); err != nil {
		return nil, fmt.Errorf("discovery: authorization_endpoint: %w", err)
	}
	found.keys, err = jwks.NewRegistry([]jwks.ClientKeys{{Client: p.Issuer(), URL: found.Keys}}, p.keys, jwks.RegistryOptions{Now: p.Now, Logger: p.Logger})
	if err != nil {
		return nil, fmt.Errorf("discovery: jwks_uri: %w", err)
	}
	return found, nil
}

// checkEndpoint holds an address that browsers are sent to. Others are the HTTP client's to judge.
func (p *Provider) checkEndpoint(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return errors.New("it is not an absolute URL")
	}
	issuer, _ := url.Parse(p.Issuer()) // New has parsed it
	if u.Scheme != "https" && (u.Scheme != "http" || issuer.Scheme != "http") {
		return errors.New("it is not an https URL")
	}
	return nil
}

// with is the context that has go-oidc and oauth2 use our client.
func (p *Provider) with(ctx context.Context) context.Context { return oidc.ClientContext(ctx, p.HTTP) }

// config is the gateway as a client of the provider.
func (p *Provider) config(found *discovered, redirect string) *oauth2.Config {
	endpoint := found.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	return &oauth2.Config{ClientID: p.ClientID(), ClientSecret: p.Secret, Endpoint: endpoint, RedirectURL: redirect, Scopes: p.Scopes}
}

// Status is how a provider is doing. It holds nothing secret.
type Status struct {
	Issuer     string              `json:"issuer"`
	ClientID   string              `json:"clientId"`
	Discovered time.Time           `json:"discovered,omitzero"` // zero: never
	AgeSeconds int64               `json:"ageSeconds"`
	Error      string              `json:"error,omitempty"` // of the last discovery, if it failed
	Keys       []jwks.SourceStatus `json:"keys"`
}

// Status tells how the provider is doing, without asking it.
func (p *Provider) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Issuer: p.Issuer(), ClientID: p.ClientID(), Keys: []jwks.SourceStatus{}}
	if p.err != nil {
		s.Error = p.err.Error()
	}
	if p.known != nil {
		s.Discovered, s.AgeSeconds = p.known.at, int64(p.Now().Sub(p.known.at)/time.Second)
		s.Keys = p.known.keys.Status()
	}
	return s
}
