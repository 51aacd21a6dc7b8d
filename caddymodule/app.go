package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/caddymodule/pool"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/limiter"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
	"github.com/seed-dd2befc3/countersign/store"
)

func init() {
	caddy.RegisterModule(&App{})
}

// App holds what all Countersign handlers of a gateway share: the environment, the store of sessions, the clients and
// their keys, and the gateway's own keys.
type App struct {
	// Environment is "sandbox", "int" or "prod". It is mandatory; a handler may override it for its site.
	Environment Environment `json:"environment,omitempty"`

	// Store is the engine that stores sessions. Default: badger, in Caddy's data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=countersign.stores inline_key=engine"`

	// Clients are the systems that may request signatures, by client id (the iss of their JWTs).
	Clients map[string]*Client `json:"clients,omitempty"`

	// Products are named sets of scopes, each with a rate limit for tokens.
	Products map[string]*Product `json:"products,omitempty"`

	// Keys configures the rotation of the gateway's own keys.
	Keys OwnKeys `json:"keys,omitzero"`

	// Audit configures the audit log.
	Audit Audit `json:"audit,omitzero"`

	// OpenID are the providers at which people sign in, for tokens with a user and for the signing page.
	OpenID []*OpenID `json:"openid,omitempty"`

	// Webhooks configures the delivery of clients' webhooks.
	Webhooks Webhooks `json:"webhooks,omitzero"`

	// AllowNetworks are the private networks (CIDR) that the gateway may connect to for clients' key sets, webhooks and
	// OpenID providers. Other private addresses are refused.
	AllowNetworks []string `json:"allow_networks,omitempty"`

	// Accept names the production rules to waive: store_memory, store_unverified, audit_off, audit_keep, allow_networks.
	// It has no effect outside production.
	Accept []string `json:"accept,omitempty"`

	// RefusalRate is how many refusals per second are answered at once to one address, after a burst of ten times as
	// many. Further refusals are delayed by up to two seconds, so that garbage does not starve other callers of CPU.
	// Requests that are not refused never wait. Default 50; -1: no delay.
	RefusalRate int `json:"refusal_rate,omitempty"`

	// TrustedCallers are networks (CIDR) whose callers count as proven: they have no share of the pools for strangers,
	// are never given up for others, and need not keep the minimum rate.
	TrustedCallers []string `json:"trusted_callers,omitempty"`

	life     context.Context // ends with this configuration
	config   caddy.Context   // the same, as Caddy's type
	logger   *slog.Logger
	engine   Engine
	store    pool.Share[*openStore]
	keys     *jwks.Registry
	keySets  pool.Share[*keySets]
	auditLog pool.Share[*openAudit]
	metrics  pool.Share[*metrics.Metrics]
	callHTTP *http.Client // sends webhooks
	sealed   *jwks.Secret // seals their tokens in the store
	refused  pool.Share[*refusals]
	limiter  *limiter.Limiter
	crowd    pool.Share[*pools]
	trusted  []netip.Prefix
	expiries metrics.Expiries
	services []*SigningService    // of this configuration
	proxies  []func() ProxyStatus // of this configuration
	lists    []*pool.Share[*revocations]
	ring     *jwks.Ring
	vault    vault
	servers  func() []string // the servers of this configuration with full duplex on
	needed   bool            // a handler keeps sessions
	starts   []func(context.Context)
	before   []func() error // checks before this configuration starts
	modules  []cardModule   // PKCS#11 modules of its own smartcard agents
	displays *displays      // renders prescriptions
	spans    func()         // stops the cleaning of spans
	now      func() time.Time
	quotas   *signing.Quotas           // that all sites share
	approved map[string]signing.Client // every client that is not revoked
	holders  map[string]oauth.Client   // the same, as the token service's type
	tokenURL string                    // of the first apim_token
	prod     production                // the production rules, applied to this configuration
	mounted  map[string][]mounted      // the services at each public URL

	hookSecrets map[string][]webhook.Secret // that receivers of webhooks share, by client
}

// OwnKeys configures the rotation of the gateway's own signing keys (Ed25519). They are in Caddy's storage, so the nodes
// of a cluster share them as they share certificates.
type OwnKeys struct {
	Rotate  caddy.Duration `json:"rotate,omitempty"`  // how long a key signs; default 90 days
	Overlap caddy.Duration `json:"overlap,omitempty"` // how long it is published before and after; default 7 days
}

// check refuses durations with which a key would sign before it is published.
func (o *OwnKeys) check() error {
	if err := CheckLimits(
		Limit{"rotate", o.Rotate, 5 * 365 * 24 * time.Hour, "a stolen key would be usable for years"},
		Limit{"overlap", o.Overlap, 365 * 24 * time.Hour, "no client caches a key set for that long"},
	); err != nil {
		return err
	}
	rotate, overlap := time.Duration(o.Rotate), time.Duration(o.Overlap)
	if rotate == 0 {
		rotate = jwks.DefaultRotate
	}
	if overlap == 0 {
		overlap = jwks.DefaultOverlap
	}
	switch {
	case overlap < jwks.MinOverlap:
		return fmt.Errorf("overlap %s is shorter than %s, so other nodes would not know a key when it signs: make it longer, or remove it to use the default", overlap, jwks.MinOverlap)
	case rotate < 2*overlap:
		return fmt.Errorf("rotate %s is less than twice overlap %s, so a key would sign before it is published: make rotate longer or overlap shorter", rotate, overlap)
	}
	return nil
}

// CaddyModule returns the module's name for Caddy.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign", New: func() caddy.Module { return new(App) }}
}

// Provision does no I/O except to read clients' key files. It neither opens a store nor fetches anything, because
// `caddy validate` provisions too, next to a running server.
func (a *App) Provision(ctx caddy.Context) error {
	a.life, a.config, a.logger, a.now, a.vault = ctx, ctx, ctx.Slogger(), clock(), vault{ctx.Storage()}
	a.quotas = signing.NewQuotas(lazyStore{a}, a.now)
	if err := a.Environment.Check(); err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	if err := checkAccept(a.Accept, appAccepts()...); err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	if _, err := a.ProvisionStore(ctx); err != nil {
		return err
	}
	if err := a.provisionClients(); err != nil {
		return err
	}
	if err := a.Audit.check(a.Forbid); err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	if err := a.judgeNetworks(); err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	if err := a.provisionOpenID(); err != nil {
		return err
	}
	if err := a.provisionWebhooks(); err != nil {
		return err
	}
	if err := a.provisionMetrics(ctx); err != nil {
		return err
	}
	if err := a.provisionRefusals(); err != nil {
		return err
	}
	if err := a.provisionPools(); err != nil {
		return err
	}
	a.provisionLimiter()
	if err := a.provisionDisplays(); err != nil {
		return err
	}
	a.servers = func() []string { return fullDuplex(ctx) }
	a.ring = jwks.NewRing(a.vault, jwks.RingOptions{
		Name: OwnKeysName, Rotate: time.Duration(a.Keys.Rotate), Overlap: time.Duration(a.Keys.Overlap),
		Now: a.now, Logger: a.logger,
	})
	return nil
}

// provisionMetrics registers the process's counters with the configuration's registry.
func (a *App) provisionMetrics(ctx caddy.Context) error {
	m, err := a.metrics.Acquire("metrics", func() (*metrics.Metrics, error) { return metrics.New(running.standing), nil })
	if err != nil {
		return err
	}
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	return m.Register(registry)
}

// ProvisionStore loads the configured store engine without opening the store. It is separate from Provision for the
// commands that work on a store while no gateway runs.
func (a *App) ProvisionStore(ctx caddy.Context) (Engine, error) {
	if a.StoreRaw == nil {
		embedded := &Badger{}
		a.engine = embedded
		return embedded, embedded.Provision(ctx)
	}
	loaded, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("countersign store: %w", err)
	}
	a.engine = loaded.(Engine)
	if risky, is := a.engine.(interface{ Risks() []Risk }); is {
		for _, risk := range risky.Risks() {
			if err := a.Forbid(risk); err != nil {
				return nil, fmt.Errorf("countersign: %w", err)
			}
		}
	}
	return a.engine, nil
}

func (a *App) provisionClients() error {
	for id, client := range a.Clients {
		if client == nil { // possible only in JSON
			return fmt.Errorf("client %s is null: give its options, or remove it", id)
		}
	}
	if err := a.checkProducts(); err != nil {
		return err
	}
	a.approved = make(map[string]signing.Client, len(a.Clients))
	a.holders = make(map[string]oauth.Client, len(a.Clients))
	var sources []jwks.ClientKeys
	for id, client := range a.Clients {
		if err := client.check(a); err != nil {
			return fmt.Errorf("client %s: %w", id, err)
		}
		if client.Status == statusRevoked {
			continue
		}
		a.approved[id] = client.forSigning(id)
		holder, err := a.forTokens(client)
		if err != nil {
			return fmt.Errorf("client %s: %w", id, err)
		}
		a.holders[id] = holder
		sources = append(sources, client.keySources(id))
	}
	sets, err := a.acquireKeySets()
	if err != nil {
		return err
	}
	registry, err := jwks.NewRegistry(sources, sets.cache, jwks.RegistryOptions{Now: a.now, Logger: a.logger})
	if err != nil {
		return err
	}
	a.keys = registry
	return nil
}

// Validate checks the rules that need the whole configuration.
func (a *App) Validate() error {
	if err := a.Keys.check(); err != nil {
		return fmt.Errorf("countersign: keys: %w", err)
	}
	if err := CheckCount("refusal_rate", int64(max(a.RefusalRate, 0)), 1_000_000); err != nil || a.RefusalRate < -1 {
		return fmt.Errorf("countersign: refusal_rate %d is out of range: give the refusals per second for one address, at most 1000000, or off (in JSON: -1)", a.RefusalRate)
	}
	return a.checkDirs()
}

// Start opens the store if a handler needs it, and fetches clients' key sets in the background. An unreachable address
// does not keep the gateway from starting.
func (a *App) Start() error {
	end, err := a.cleanSpans()
	if err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	a.spans = end
	for _, check := range a.before {
		if err := check(); err != nil {
			return err
		}
	}
	if a.needed {
		open, err := a.openStore()
		if err != nil {
			return fmt.Errorf("countersign: %w", err)
		}
		if err := a.openAudit(open); err != nil {
			return fmt.Errorf("countersign: %w", err)
		}
		open.webhooks.Use(a, a.webhookSettings())
		a.displays.start()
	}
	a.keys.Warm(a.life)
	for _, start := range a.starts {
		start(context.Background())
	}
	a.warnOfFullDuplex()
	a.warnOfAccept()
	running.add(a)
	return nil
}

// BeforeStart registers a check that runs when the configuration starts. An error keeps it from starting. The check does
// not run on `caddy validate`, which may run on another machine or as another user. Handlers call it in Provision.
func (a *App) BeforeStart(check func() error) { a.before = append(a.before, check) }

// ReportModule adds a PKCS#11 module of a smartcard agent to readiness, status and metrics. The gateway starts without a
// working module but is not ready. trouble returns at once with the reason why the module does not work, or nil. Handlers
// call it in Provision.
func (a *App) ReportModule(path string, trouble func() error) {
	a.modules = append(a.modules, cardModule{path, trouble})
}

// OnStart registers work that begins when the configuration starts, but not on `caddy validate`. begin must return at
// once, and its owner must outlive a reload. Handlers call it in Provision.
func (a *App) OnStart(begin func(context.Context)) { a.starts = append(a.starts, begin) }

// Stop starts no more webhooks under this configuration. Running deliveries continue. Cleanup releases the resources.
func (a *App) Stop() error {
	a.dropWebhooks()
	return nil
}

// Cleanup releases only what this configuration acquired. After a failed reload, the running configuration still uses the
// store.
func (a *App) Cleanup() error {
	if a.spans != nil {
		a.spans()
	}
	running.remove(a)
	a.dropWebhooks()
	a.dropAudit()
	if a.displays != nil {
		a.displays.close()
	}
	// Jobs end with the store. Until then they check revocations and write to the audit log.
	return errors.Join(a.store.Release(), a.releaseRevocations(), a.auditLog.Release(), a.keySets.Release(), a.metrics.Release(),
		a.refused.Release(), a.crowd.Release(), a.releaseOpenID())
}

// Store returns the store of sessions. It may be called before the store is open, because Caddy starts apps in any order.
func (a *App) Store() store.Store {
	a.needed = true
	return lazyStore{a}
}

// Now returns the time by the clock that the whole gateway uses.
func (a *App) Now() time.Time { return a.now() }

// Metrics returns the counters for handlers. They exist once the app is provisioned.
func (a *App) Metrics() *metrics.Metrics { return a.metrics.Value() }

// Expiries returns the register of certificates that handlers depend on.
func (a *App) Expiries() *metrics.Expiries { return &a.expiries }

// Vault returns Caddy's storage, which holds the keys.
func (a *App) Vault() Vault { return a.vault }

// app returns the gateway's Countersign app, or an error if it is not configured.
func app(ctx caddy.Context) (*App, error) {
	found, err := ctx.AppIfConfigured("countersign")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errors.New("the global option countersign is missing: add countersign { environment int } to the global options")
	}
	if err != nil {
		return nil, err
	}
	return found.(*App), nil
}

// FromContext returns the app for the packages below this one.
func FromContext(ctx caddy.Context) (*App, error) { return app(ctx) }

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
