package sender

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// Bars sends an application's requests to a BaRS proxy (BAR-2): the path relative to the site is appended to the
// environment's API, the token, ids and headers are added, and a GET is repeated if that may help. A sender with it
// needs no reverse_proxy.
type Bars struct {
	// BaseURL is the API's URL. Default: NHS England's own for the environment.
	BaseURL string `json:"base_url,omitempty"`

	// Version is the standard's version, 1.x.y, which is sent in the header Accept.
	Version string `json:"version,omitempty"`

	// Timeout bounds each attempt. Default: 35 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Tries is the number of attempts for a GET answered 408, 429, 503, 504 or not at all. Default: 3.
	Tries int `json:"tries,omitempty"`

	// ReuseWithin is how long a connection to the API may have been idle to be used for a request that changes something.
	// Default: 4 seconds.
	ReuseWithin caddy.Duration `json:"reuse_within,omitempty"`

	// RetryMessages also repeats messages ($process-message). The receiver may then get one twice.
	RetryMessages bool `json:"retry_messages,omitempty"`

	// Transport is Caddy's http transport to the API.
	Transport *reverseproxy.HTTPTransport `json:"transport,omitempty"`

	upstream *reverseproxy.Handler
	once     *reverseproxy.HTTPTransport // for requests that change something
	base     *url.URL
}

// version matches the standard's versions (BAR-2.6).
var version = regexp.MustCompile(`^1\.[0-9]+\.[0-9]+$`)

const barsPath = "/booking-and-referral/FHIR/R4"

// dialTimeout bounds looking up and connecting to the API's address.
const dialTimeout = 5 * time.Second

// check refuses invalid settings and mixed environments, and sets the defaults.
func (b *Bars) check(s *Sender) error {
	if b.BaseURL == "" {
		b.BaseURL = s.Environment.API() + barsPath
	}
	b.BaseURL = strings.TrimSuffix(b.BaseURL, "/")
	if err := s.Environment.CheckHost("base_url", b.BaseURL); err != nil {
		return err
	}
	u, err := url.Parse(b.BaseURL)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("base_url %q must not have a user, query or fragment", b.BaseURL)
	}
	b.base = u
	if s.Environment != caddymodule.Sandbox && (caddymodule.EnvironmentOf(b.BaseURL) == "") != (caddymodule.EnvironmentOf(s.TokenURL) == "") {
		return fmt.Errorf("base_url %s and token_url %s do not belong together: only one is NHS England's, and neither accepts the other's tokens", b.BaseURL, s.TokenURL)
	}
	if err := caddymodule.CheckLimits(
		caddymodule.Limit{Name: "bars: timeout", Value: b.Timeout, Most: 5 * time.Minute, Why: "the proxy gives up after 32s"},
		caddymodule.Limit{Name: "bars: reuse_within", Value: b.ReuseWithin, Most: 2 * time.Minute, Why: "servers close idle connections sooner"},
	); err != nil {
		return err
	}
	if err := caddymodule.CheckCount("bars: tries", int64(b.Tries), 20); err != nil {
		return err
	}
	switch {
	case b.Version != "" && s.Accept != "":
		return fmt.Errorf("accept and the version in bars both set the header Accept: remove one")
	case b.Version != "" && !version.MatchString(b.Version):
		return fmt.Errorf("bars: version %q is not of the form 1.x.y", b.Version)
	}
	if b.Version != "" {
		s.Accept = bars.ContentType + "; version=" + b.Version
	}
	b.Timeout, b.Tries = cmp.Or(b.Timeout, caddy.Duration(bars.SendTimeout)), cmp.Or(b.Tries, bars.SendTries)
	b.ReuseWithin = cmp.Or(b.ReuseWithin, caddymodule.ReuseWithin)
	return nil
}

// provision makes the route to the API. It opens no connection.
func (b *Bars) provision(ctx caddy.Context, rules outbound.Options, logger *slog.Logger) error {
	if b.Transport == nil {
		b.Transport = &reverseproxy.HTTPTransport{}
	}
	if b.Transport.TLS != nil && b.Transport.TLS.InsecureSkipVerify {
		return fmt.Errorf("bars: tls_insecure_skip_verify is refused: the API's certificate is always verified")
	}
	if err := rules.CheckURL(b.base); err != nil {
		return fmt.Errorf("base_url: %w", err)
	}
	asItIs := false
	b.Transport.NetworkProxyRaw, b.Transport.Compression = json.RawMessage(`{"from":"none"}`), &asItIs
	var err error
	if b.once, err = caddymodule.OnceTransport(b.Transport, b.ReuseWithin); err != nil {
		return err
	}
	rules.Timeout = dialTimeout
	dial := outbound.NewDialer(rules)
	for _, transport := range []*reverseproxy.HTTPTransport{b.Transport, b.once} {
		if err := transport.Provision(ctx); err != nil {
			return err
		}
		transport.Transport.DialContext = dial
	}
	b.upstream = &reverseproxy.Handler{
		Transport: &bars.Sender{
			Transport: bars.Transports{Repeatable: b.Transport, Once: b.once}, Base: b.base, Timeout: time.Duration(b.Timeout), Tries: b.Tries, Messages: b.RetryMessages, Logger: logger,
		},
		Upstreams: reverseproxy.UpstreamPool{{Dial: outbound.HostPort(b.base)}},
	}
	return b.upstream.Provision(ctx)
}

// ServeHTTP forwards a request to the API.
func (b *Bars) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	return b.upstream.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
}

// cleanup closes the connections to the API.
func (b *Bars) cleanup() error {
	var err error
	if b.upstream != nil {
		err = b.upstream.Cleanup()
	}
	for _, transport := range []*reverseproxy.HTTPTransport{b.Transport, b.once} {
		if transport != nil {
			_ = transport.Cleanup() // closes idle connections and never fails
		}
	}
	return err
}

// parseBars reads the sender's block:
//
//	bars {
//		base_url       <url>
//		version        1.x.y
//		timeout        <duration>
//		tries          <number>
//		reuse_within   <duration>
//		retry_messages
//		<sub-directives of Caddy's http transport>
//	}
func (s *Sender) parseBars(d *caddyfile.Dispenser) error {
	if s.Bars != nil {
		return d.Err("bars is given twice")
	}
	b := &Bars{Transport: &reverseproxy.HTTPTransport{}}
	s.Bars = b
	if d.NextArg() {
		return d.ArgErr()
	}
	transport, err := parse.Split(d, "http", parse.Options{
		"base_url":       parse.One(&b.BaseURL),
		"version":        parse.One(&b.Version),
		"timeout":        parse.Duration(&b.Timeout),
		"tries":          parse.Count(&b.Tries),
		"reuse_within":   parse.Duration(&b.ReuseWithin),
		"retry_messages": parse.Flag(&b.RetryMessages),
	})
	if err != nil {
		return err
	}
	return b.Transport.UnmarshalCaddyfile(transport)
}
