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
	"github.com/seed-dd2befc3/countersign/store"
)

func init() {
	caddy.RegisterModule(&App{})
}

// App is what all Countersign handlers of a gateway share: the environment, the store of sessions, the clients
// and their keys, and the gateway's own keys.
type App struct {
	// Environment is "sandbox", "int" or "prod". It is mandatory; a handler may override it for its site.
	Environment Environment `json:"environment,omitempty"`

	// Store is the engine that keeps sessions. Default: badger, under Caddy's data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=countersign.stores inline_key=engine"`

	// Clients are the systems that may ask for signatures, by their client id (the iss of their JWTs).
	Clients map[string]*Client `json:"clients,omitempty"`

	// Products are what clients may use, by name: scopes, and how often a client may ask for a token.
	Products map[string]*Product `json:"products,omitempty"`

	// Keys says how the gateway's own keys change.
	Keys OwnKeys `json:"keys,omitzero"`

	// Audit says where the record of each batch is kept.
	Audit Audit `json:"audit,omitzero"`

	// OpenID are the providers that people sign in at, for tokens with a user and for the signing page.
	OpenID []*OpenID `json:"openid,omitempty"`

	// Webhooks says how clients' webhooks are delivered.
	Webhooks Webhooks `json:"webhooks,omitzero"`

	// AllowNetworks are private networks (CIDR) that clients' key sets may be fetched from, webhooks sent to, and OpenID
	// providers be in. Addresses in private ranges are refused otherwise.
	AllowNetworks []string `json:"allow_networks,omitempty"`

	// Accept are the names of rules of production that hold here all the same: store_memory, store_unverified, audit_off,
	// audit_keep, allow_networks. Outside production they have no effect.
	Accept []string `json:"accept,omitempty"`

	// RefusalRate is how many refusals a second an address is answered at once, after ten times as many in a burst. The
	// answers to more of them wait, for two seconds at most, so that who posts garbage leaves the processors to others;
	// what is not refused never waits. Default 50; -1: none waits.
	RefusalRate int `json:"refusal_rate,omitempty"`

	// TrustedCallers are networks (CIDR) whose callers have no share of what strangers share: as if they had proven who
	// they are. They are neither given up for others nor held to the lowest rate of bytes.
	TrustedCallers []string `json:"trusted_callers,omitempty"`

	life     context.Context // ends with this configuration
	config   caddy.Context   // the same, to Caddy
	logger   *slog.Logger
	engine   Engine
	store    pool.Share[*openStore]
	keys     *jwks.Registry
	keySets  pool.Share[*keySets]
	auditLog pool.Share[*openAudit]
	metrics  pool.Share[*metrics.Metrics]
	callHTTP *http.Client // sends webhooks
	sealed   *jwks.Secret // seals the tokens in them while they are in the store
	refused  pool.Share[*refusals]
	limiter  *limiter.Limiter
	crowd    pool.Share[*pools]
	trusted  []netip.Prefix
	expiries metrics.Expiries
	services []*SigningService    // of this configuration
	proxies  []func() ProxyStatus // the same
	lists    []*pool.Share[*revocations]
	ring     *jwks.Ring
	vault    vault
	servers  func() []string // of this configuration, that have full duplex on
	needed   bool            // whether any handler keeps sessions
	starts   []func(context.Context)
	before   []func() error // what has to hold for this configuration to start
	modules  []cardModule   // of its own smartcard agents
	displays *displays      // of prescriptions
	spans    func()         // ends the cleaning of spans
	now      func() time.Time
	quotas   *signing.Quotas           // that all sites share
	approved map[string]signing.Client // every client that is not revoked
	holders  map[string]oauth.Client   // the same, as the token service knows them
	tokenURL string                    // of the first apim_token
	prod     production                // what production refuses of all this
	mounted  map[string][]mounted      // the services at each public URL
}

// OwnKeys says how the gateway's own signing keys (Ed25519) change. They live in Caddy's storage, so that the
// nodes of a cluster share them as they share certificates.
type OwnKeys struct {
	Rotate  caddy.Duration `json:"rotate,omitempty"`  // how long a key signs; default 90 days
	Overlap caddy.Duration `json:"overlap,omitempty"` // how long it is published before and after; default 7 days
}

// check refuses times in which a key would not be published before it signs.
func (o *OwnKeys) check() error {
	if err := CheckLimits(
		Limit{"rotate", o.Rotate, 5 * 365 * 24 * time.Hour, "who has such a key has it for good"},
		Limit{"overlap", o.Overlap, 365 * 24 * time.Hour, "nobody keeps a key set so long"},
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
		return fmt.Errorf("overlap %s is shorter than %s, so other nodes would not know a key when it signs; make it longer, or leave it out for the default", overlap, jwks.MinOverlap)
	case rotate < 2*overlap:
		return fmt.Errorf("rotate %s must be at least twice as long as overlap %s, or a key would sign before it was published", rotate, overlap)
	}
	return nil
}

// CaddyModule returns the module's name for Caddy.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign", New: func() caddy.Module { return new(App) }}
}

// Provision makes everything that needs no I/O but reading clients' key files: no store is opened and nothing is
// fetched, since `caddy validate` provisions too, beside a running server.
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

// provisionMetrics finds the process's counters and registers them with the configuration's registry.
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

// ProvisionStore finds the store that the configuration names, and opens nothing. It is a part of Provision by itself
// for the commands that work on a store while no gateway runs.
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
		if client == nil { // which only JSON can say
			return fmt.Errorf("client %s is null; write its options, or take it out", id)
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

// Validate checks what only the whole configuration shows.
func (a *App) Validate() error {
	if err := a.Keys.check(); err != nil {
		return fmt.Errorf("countersign: keys: %w", err)
	}
	if err := CheckCount("refusal_rate", int64(max(a.RefusalRate, 0)), 1_000_000); err != nil || a.RefusalRate < -1 {
		return fmt.Errorf("countersign: refusal_rate %d cannot be meant; write the refusals a second of one address, at most 1000000, or off (in JSON -1)", a.RefusalRate)
	}
	return a.checkDirs()
}

// Start opens the store, if a handler keeps anything in it, and fetches clients' key sets in the background. An
// address that cannot be reached does not stop the gateway from starting.
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

// BeforeStart has something on this machine looked at when the configuration starts, which is never when it is only validated:
// that may happen on another machine, and as another user. An error keeps it from starting. Handlers call it in Provision.
func (a *App) BeforeStart(check func() error) { a.before = append(a.before, check) }

// ReportModule has readiness, status and metrics tell of a PKCS#11 module of a smartcard agent, which the gateway starts without
// and is not ready without. trouble is why it cannot be used; it returns at once. Handlers call it in Provision.
func (a *App) ReportModule(path string, trouble func() error) {
	a.modules = append(a.modules, cardModule{path, trouble})
}

// OnStart has a handler's work begin when the configuration starts, which is never when it is only validated.
// Handlers call it in Provision; what begins must return at once and be owned by what outlives a reload.
func (a *App) OnStart(begin func(context.Context)) { a.starts = append(a.starts, begin) }

// Stop lets no webhook go out by this configuration any more. What is under way goes on, and what was acquired is
// released by Cleanup.
func (a *App) Stop() error {
	a.dropWebhooks()
	return nil
}

// Cleanup releases what this configuration acquired, and nothing else: after a failed reload the store is still
// the running configuration's.
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
	// Jobs end with the store, and until then look for revocations and write to the audit log.
	return errors.Join(a.store.Release(), a.releaseRevocations(), a.auditLog.Release(), a.keySets.Release(), a.metrics.Release(),
		a.refused.Release(), a.crowd.Release(), a.releaseOpenID())
}

// Store is the store of sessions. It may be asked for before it is open: Caddy starts apps in any order.
func (a *App) Store() store.Store {
	a.needed = true
	return lazyStore{a}
}

// Now is the time, by the clock of all that this installation does.
func (a *App) Now() time.Time { return a.now() }

// Metrics are where handlers count what happens. They are there once the app is provisioned.
func (a *App) Metrics() *metrics.Metrics { return a.metrics.Value() }

// Expiries are where handlers note the certificates that they depend on.
func (a *App) Expiries() *metrics.Expiries { return &a.expiries }

// Vault is Caddy's storage, where keys are kept.
func (a *App) Vault() Vault { return a.vault }

// app returns the gateway's Countersign app, or says that it is not configured.
func app(ctx caddy.Context) (*App, error) {
	found, err := ctx.AppIfConfigured("countersign")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errors.New("the global option countersign is missing; add countersign { environment int } to the global options")
	}
	if err != nil {
		return nil, err
	}
	return found.(*App), nil
}

// FromContext is app for the packages below this one.
func FromContext(ctx caddy.Context) (*App, error) { return app(ctx) }

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
