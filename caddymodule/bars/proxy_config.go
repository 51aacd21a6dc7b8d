package bars

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// maxBodyMost is the largest max_body, in bytes.
const maxBodyMost = 1 << 30

// dialTimeout bounds looking up and connecting to a receiver's address.
const dialTimeout = 5 * time.Second

func (b *Proxy) provision(ctx caddy.Context) error {
	var err error
	if b.app, err = caddymodule.FromContext(ctx); err != nil {
		return err
	}
	b.logger = ctx.Slogger()
	if b.Environment == "" {
		b.Environment = b.app.Environment
	}
	if err := b.check(); err != nil {
		return err
	}
	if err := b.app.JoinSite(ctx, b.Environment, "bars_proxy", caddymodule.RulePlainHTTP, caddymodule.RuleLocalAddress, caddymodule.RuleNetworks); err != nil {
		return err
	}
	rules, err := b.outboundRules()
	if err != nil {
		return err
	}
	if err := b.provisionCatalogue(rules); err != nil {
		return err
	}
	if err := b.provisionUpstream(ctx, rules); err != nil {
		return err
	}
	statusKey, err := caddy.NewReplacer().ReplaceOrErr(b.StatusKey, true, true)
	if err != nil {
		return fmt.Errorf("status_key: %w", err)
	}
	limits := bars.Limits{PerApp: b.Rate, Overall: b.RateOverall}
	quota, err := b.quota.Acquire(fmt.Sprintf("bars quota %s %v", b.Environment, limits), func() (*sharedQuota, error) {
		return &sharedQuota{bars.NewQuota(limits, b.app.Now)}, nil
	})
	if err != nil {
		return err
	}
	access := func(*http.Request) (string, error) { return "", nil }
	if b.Environment != caddymodule.Sandbox {
		if access, err = b.access(ctx); err != nil {
			return err
		}
	}
	b.proxy = bars.NewProxy(bars.Options{
		Sandbox: b.Environment == caddymodule.Sandbox, Access: access, Find: b.find, Quota: quota.Quota,
		Version: caddymodule.Version(), StatusKey: statusKey, Health: b.health, Now: b.app.Now,
		Bodies: b.app.Group(caddymodule.PoolBars),
	})
	b.app.ReportProxy(b.status)
	return nil
}

// sharedQuota counts an environment's requests and survives a reload.
type sharedQuota struct{ *bars.Quota }

// Destruct does nothing.
func (*sharedQuota) Destruct() error { return nil }

// check refuses invalid settings and sets the defaults.
func (b *Proxy) check() error {
	if err := b.Environment.Check(); err != nil {
		return err
	}
	for what, number := range map[string]int64{"rate": int64(b.Rate), "rate_overall": int64(b.RateOverall), "max_body": b.MaxBody,
		"catalogue_every": int64(b.CatalogueEvery)} {
		if number < 0 {
			return fmt.Errorf("%s must not be negative", what)
		}
	}
	if err := caddymodule.CheckLimits(
		caddymodule.Limit{Name: "timeout", Value: b.Timeout, Most: bars.SendTimeout, Why: "no sender waits longer"},
		caddymodule.Limit{Name: "reuse_within", Value: b.ReuseWithin, Most: 2 * time.Minute, Why: "servers close idle connections sooner"},
	); err != nil {
		return err
	}
	if b.CatalogueEvery != 0 && b.Catalogue == "" { // possible only in JSON
		return errors.New("catalogue_every has no effect without catalogue; add it, or take catalogue_every out")
	}
	if b.MaxBody > maxBodyMost {
		return fmt.Errorf("max_body %d is more than 1GiB, which no message has; make it smaller, or leave it out for the default", b.MaxBody)
	}
	if b.CatalogueEvery > caddy.Duration(bars.MaxAge) {
		return fmt.Errorf("catalogue_every %s is too long: a catalogue may be at most %s old", time.Duration(b.CatalogueEvery), bars.MaxAge)
	}
	for host, address := range b.Resolve {
		if _, err := netip.ParseAddr(address); err != nil {
			return fmt.Errorf("resolve %s: %q is not an IP address", host, address)
		}
	}
	if b.Base = cmp.Or(b.Base, "/booking-and-referral/FHIR/R4"); !strings.HasPrefix(b.Base, "/") {
		return fmt.Errorf("base %q is not a path: it must begin with /", b.Base)
	}
	b.Base = strings.TrimSuffix(b.Base, "/")
	defaults := bars.DefaultLimits(b.Environment == caddymodule.Production)
	b.Rate, b.RateOverall = cmp.Or(b.Rate, defaults.PerApp), cmp.Or(b.RateOverall, defaults.Overall)
	b.Timeout = cmp.Or(b.Timeout, caddy.Duration(bars.Timeout))
	b.MaxBody = cmp.Or(b.MaxBody, bars.MaxBody)
	b.ReuseWithin = cmp.Or(b.ReuseWithin, caddymodule.ReuseWithin)
	if b.Environment == caddymodule.Sandbox {
		return nil
	}
	if b.Catalogue == "" && len(b.Targets) == 0 {
		return errors.New("no endpoint catalogue: add catalogue <file or url>, or target <system> <value> <url>")
	}
	return caddymodule.CheckMutualTLS(b.Transport, "the receiver")
}

// outboundRules returns the rules for connections to the catalogue and to receivers.
func (b *Proxy) outboundRules() (outbound.Options, error) {
	rules, err := b.app.Outbound(b.Environment)
	rules.Timeout = dialTimeout
	return rules, err
}

// nameRule returns the check of receivers' names in an environment; nil in the sandbox.
func nameRule(e caddymodule.Environment) func(host string) error {
	if e == caddymodule.Sandbox {
		return nil
	}
	return func(host string) error {
		name, err := bars.ParseFQDN(host)
		if err == nil && string(name.Environment) != string(e) {
			err = fmt.Errorf("the name %q is of the environment %s, but this proxy is of %s", host, name.Environment, e)
		}
		return err
	}
}

// provisionUpstream makes Caddy's own reverse proxy over its own transport, with the broker between them.
func (b *Proxy) provisionUpstream(ctx caddy.Context, rules outbound.Options) error {
	if b.Transport == nil {
		b.Transport = &reverseproxy.HTTPTransport{}
	}
	// Receivers are reached directly, whatever proxy the environment variables name, and nothing alters requests or
	// answers.
	chain, err := b.chain(ctx)
	if err != nil {
		return err
	}
	asItIs := false
	b.Transport.NetworkProxyRaw, b.Transport.Compression = json.RawMessage(`{"from":"none"}`), &asItIs
	if b.once, err = caddymodule.OnceTransport(b.Transport, b.ReuseWithin); err != nil {
		return err
	}
	dial := b.dialer(rules)
	for _, transport := range []*reverseproxy.HTTPTransport{b.Transport, b.once} {
		if err := transport.Provision(ctx); err != nil {
			return err
		}
		transport.Transport.DialContext = dial
	}
	transport := b.Transport.Transport
	own := b.app.Expiries().WatchTransport("bars_proxy", transport.TLSClientConfig)
	b.app.Expiries().Watch("bars_proxy_chain", chain...)
	b.expiry = &expiryWatch{certificates: slices.Concat(chain, own), logger: b.logger, now: b.app.Now}
	b.app.OnStart(b.expiry.remind)
	b.upstream = &reverseproxy.Handler{
		Transport:        &bars.Broker{Transport: bars.Transports{Repeatable: b.Transport, Once: b.once}, Timeout: time.Duration(b.Timeout), MaxBody: b.MaxBody},
		DynamicUpstreams: b,
	}
	return b.upstream.Provision(ctx)
}

// chain returns the environment's authorities, which receivers' certificates are checked against. It refuses the
// system's roots and every pool that does not list its authorities.
func (b *Proxy) chain(ctx caddy.Context) ([]*x509.Certificate, error) {
	if b.Environment == caddymodule.Sandbox {
		return nil, nil
	}
	trust := ReceiverTrust{TrustPoolRaw: b.Transport.TLS.CARaw}
	chain, err := trust.authorities(ctx)
	if err == nil && len(chain) == 0 {
		err = errors.New("no certificates in tls_trust_pool: name the environment's chain with tls_trust_pool file <pem file>; the system's roots are never used")
	}
	if err != nil {
		return nil, fmt.Errorf("tls_trust_pool: %w", err)
	}
	return chain, nil
}

// dialer connects to receivers by name under the rules for outbound connections, or to the address Resolve gives.
func (b *Proxy) dialer(rules outbound.Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	pinned := make(map[string]string, len(b.Resolve))
	for host, address := range b.Resolve {
		pinned[strings.ToLower(host)] = address
	}
	public, direct := outbound.NewDialer(rules), &net.Dialer{Timeout: dialTimeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if to, found := pinned[strings.ToLower(host)]; found {
			return direct.DialContext(ctx, network, net.JoinHostPort(to, port))
		}
		if b.Environment == caddymodule.Sandbox {
			return direct.DialContext(ctx, network, address)
		}
		return public(ctx, network, address)
	}
}

// access returns the check of a sender: it must present a token of this installation for this product.
func (b *Proxy) access(ctx caddy.Context) (func(*http.Request) (string, error), error) {
	door, err := caddymodule.NewDoor(ctx, caddymodule.Demands{Scopes: [][]string{{bars.Scope}}})
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) (string, error) {
		grant, err := door.Enter(r)
		if err != nil {
			return grant.Client, caddymodule.OutcomeOf(err)
		}
		caddymodule.SetGrant(r, grant)
		return grant.Client, nil
	}, nil
}

// find returns a target's URL, looking among the Caddyfile's own first.
func (b *Proxy) find(target bars.Target) (*url.URL, *bars.Outcome) {
	address, outcome := b.inline.Lookup(target)
	source, held := b.source.Held()
	if outcome == nil || !held {
		return address, outcome
	}
	catalogue, outcome := source.Current()
	if outcome != nil {
		return nil, outcome
	}
	return catalogue.Lookup(target)
}
