package bars

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/pool"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/outbound"
)

func init() {
	caddy.RegisterModule(&Proxy{})
}

// Proxy is the Booking and Referral Standard's proxy, for a whole site or at the path it is mounted at with handle_path.
// It applies the standard's checks, finds the receiver in the endpoint catalogue, and
// forwards the request over mutual TLS with Caddy's own reverse proxy (BAR-1).
type Proxy struct {
	// Environment overrides the global environment for this site. The sandbox requires no token and admits any
	// address.
	Environment caddymodule.Environment `json:"environment,omitempty"`

	// Base is the path at which the proxy takes requests where it is given a site as a whole, without handle_path around
	// it: requests with other paths are answered 404 with an OperationOutcome. Default:
	// /booking-and-referral/FHIR/R4. A / means the whole site.
	Base string `json:"base,omitempty"`

	// Catalogue is the endpoint catalogue: a JSON file, or an https URL.
	Catalogue string `json:"catalogue,omitempty"`

	// CatalogueEvery is how often the catalogue is read. Default: 5 seconds for a file, 15 minutes for a URL; at most
	// 24 hours.
	CatalogueEvery caddy.Duration `json:"catalogue_every,omitempty"`

	// Targets are catalogue entries that take precedence over those of Catalogue.
	Targets []Target `json:"targets,omitempty"`

	// Resolve gives IP addresses of host names that are not looked up in DNS.
	Resolve map[string]string `json:"resolve,omitempty"`

	// StrictNames refuses receivers whose names break the naming rules. Default: they are logged as a warning.
	StrictNames bool `json:"strict_names,omitempty"`

	// Rate is how many requests per minute an application may send. Default: 300, in production 1,000.
	Rate int `json:"rate,omitempty"`

	// RateOverall is how many requests per second all applications together may send. Default: 60.
	RateOverall int `json:"rate_overall,omitempty"`

	// Timeout is how long a receiver has to begin its answer, and again to complete it. Default: 32 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// ReuseWithin is how long a connection to a receiver may have been idle to be used for a request that changes
	// something, which is never sent twice. Keep it below the receivers' own limit. Default: 4 seconds.
	ReuseWithin caddy.Duration `json:"reuse_within,omitempty"`

	// MaxBody is the largest request body in bytes. Default: 10 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// StatusKey must be sent to /_status in the header apikey. Without one, nobody may read it. It may be a placeholder
	// such as {env.STATUS_KEY}.
	StatusKey string `json:"status_key,omitempty"`

	// Transport is Caddy's http transport. Outside the sandbox two settings are mandatory: the proxy's own
	// certificate (tls.client_certificate_automate or client_certificate_file) and the environment's chain (tls.ca).
	Transport *reverseproxy.HTTPTransport `json:"transport,omitempty"`

	app      *caddymodule.App
	logger   *slog.Logger
	inline   *bars.Catalogue
	source   pool.Share[*catalogueSource]
	quota    pool.Share[*sharedQuota]
	proxy    *bars.Proxy
	upstream *reverseproxy.Handler
	once     *reverseproxy.HTTPTransport // for requests that change something
	expiry   *expiryWatch
}

// Target is an entry of the endpoint catalogue: a receiver's identifier and its URL.
type Target struct {
	System string `json:"system"`
	Value  string `json:"value"`
	URL    string `json:"url"`
}

// CaddyModule returns the module's information for Caddy.
func (*Proxy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bars_proxy", New: func() caddy.Module { return new(Proxy) }}
}

// Provision makes the proxy. It reads the catalogue file and the certificates, and opens no connection.
func (b *Proxy) Provision(ctx caddy.Context) error {
	if err := b.provision(ctx); err != nil {
		return fmt.Errorf("bars_proxy: %w", err)
	}
	return nil
}

// Cleanup releases the catalogue, the quota and the connections to receivers.
func (b *Proxy) Cleanup() error {
	var err error
	if b.upstream != nil {
		err = b.upstream.Cleanup()
	}
	for _, transport := range []*reverseproxy.HTTPTransport{b.Transport, b.once} {
		if transport != nil {
			_ = transport.Cleanup() // closes idle connections and never fails
		}
	}
	for _, release := range []func() error{b.source.Release, b.quota.Release} {
		if failed := release(); err == nil {
			err = failed
		}
	}
	return err
}

// ServeHTTP refuses a request, answers it or forwards it.
func (b *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return intake.Guard(w, r, func(w http.ResponseWriter, r *http.Request) error { return b.serve(w, r, next) })
}

func (b *Proxy) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	began := time.Now()
	b.expiry.remind(r.Context())
	r, below := b.below(r)
	call := &bars.Call{Outcome: bars.NoPath.Named()}
	if below {
		call = b.proxy.Route(w, r)
	}
	defer func() { b.tell(r, call, time.Since(began)) }() // deferred: an answer that breaks off panics
	if o := call.Outcome; o != nil && o.Fault == bars.FaultSender && o.Status != http.StatusTooManyRequests {
		b.app.HoldRefusal(w, r)
	}
	if call.Answer != nil || call.Outcome != nil {
		w.Header().Set(bars.HeaderAnsweredBy, bars.ByProxy)
	}
	switch {
	case call.Answer != nil:
		call.Answer.ServeHTTP(w, r)
	case call.Outcome != nil:
		call.Outcome.Write(w, r)
	default:
		r = r.WithContext(bars.WithCall(r.Context(), call))
		bars.DropHop(r.Header)
		intake.PassOn(r)
		if err := b.upstream.ServeHTTP(w, r, next); err != nil { // the broker turns every other failure into an answer
			intake.TakeBack(r)
			w.Header().Set(bars.HeaderAnsweredBy, bars.ByProxy)
			call.Outcome = bars.Defect(err).Named()
			call.Outcome.Write(w, r)
		}
	}
	return nil
}

// below returns a request with its path relative to the API's base, unless it is elsewhere.
func (b *Proxy) below(r *http.Request) (*http.Request, bool) {
	if b.Base == "" || caddymodule.MountedAt(r) != "" { // handle_path has taken the path off
		return r, true
	}
	path, found := strings.CutPrefix(r.URL.Path, b.Base)
	raw, rawFound := strings.CutPrefix(r.URL.RawPath, b.Base)
	if !found || path != "" && path[0] != '/' || r.URL.RawPath != "" && !rawFound {
		return r, false
	}
	r = r.WithContext(r.Context()) // a copy, so that the access log keeps the path
	u := *r.URL
	u.Path, u.RawPath = path, raw
	r.URL = &u
	return r, true
}

// GetUpstreams tells Caddy's reverse proxy the request's destination, for its counts and placeholders.
func (b *Proxy) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	return []*reverseproxy.Upstream{{Dial: outbound.HostPort(bars.CallOf(r.Context()).Address)}}, nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Proxy)(nil)
	_ caddy.CleanerUpper          = (*Proxy)(nil)
	_ caddyhttp.MiddlewareHandler = (*Proxy)(nil)
	_ reverseproxy.UpstreamSource = (*Proxy)(nil)
)
