// Package outbound builds the HTTP client for every address that comes from outside or from configuration: key sets,
// webhooks, catalogues, revocation lists, discovery.
//
// Its clients speak only https (plain http only where Options allows it), and only to addresses of the public internet
// unless a network is allowed. A host name is resolved once, and the address that was checked is the one dialled, so
// DNS rebinding has no effect. Clients never use a proxy from the environment, never follow a redirect to another host
// or scheme, and bound time and headers. ReadBody bounds bodies.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	defaultTimeout = 10 * time.Second
	maxRedirects   = 3
	maxHeader      = 64 << 10 // bytes of a response header
)

// ErrRefused is wrapped by every error about an address, a scheme or a redirect that the rules forbid. Retrying does not
// help until the configuration or the addresses of the name change.
var ErrRefused = errors.New("refused by the rules for outgoing requests")

// Resolver looks up host names. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options configures where a client may connect. The zero value is right for production: https to public addresses.
type Options struct {
	// AllowNetworks lists networks that may be dialled although they are not public.
	AllowNetworks []netip.Prefix
	// AllowLocalhost allows plain http and loopback addresses for the host name localhost and for literal loopback
	// addresses. It is for development, never for production.
	AllowLocalhost bool
	// PlainHTTP lists host names for which plain http is allowed, such as those of revocation lists, which are
	// signed.
	PlainHTTP []string
	// Timeout bounds the whole exchange: lookup, connection, response and reading its body. Default 10 s.
	Timeout time.Duration
	// Resolver looks up host names. Default net.DefaultResolver.
	Resolver Resolver
	// RootCAs are the trusted issuers of server certificates. Default: the system's.
	RootCAs *x509.CertPool
}

// New returns a client. It keeps idle connections for a while; CloseIdleConnections closes them.
func New(options Options) *http.Client {
	if options.Timeout <= 0 {
		options.Timeout = defaultTimeout
	}
	if options.Resolver == nil {
		options.Resolver = net.DefaultResolver
	}
	dialer := &dialer{options: options}
	return &http.Client{
		Timeout:       options.Timeout,
		CheckRedirect: checkRedirect,
		Transport: &transport{options: options, base: &http.Transport{
			Proxy:                  nil,
			DialContext:            dialer.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: options.RootCAs},
			TLSHandshakeTimeout:    options.Timeout,
			ResponseHeaderTimeout:  options.Timeout,
			MaxResponseHeaderBytes: maxHeader,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
		}},
	}
}

// NewDialer returns a dial function with the rules of New, for transports built elsewhere. The timeout bounds lookup and
// connection.
func NewDialer(options Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	if options.Timeout <= 0 {
		options.Timeout = defaultTimeout
	}
	if options.Resolver == nil {
		options.Resolver = net.DefaultResolver
	}
	return (&dialer{options: options}).dial
}

// CheckURL returns an error that wraps ErrRefused if a client with these options would not send a request to u, as far
// as that is known without a lookup: it checks scheme, host and literal addresses. Configuration is validated with
// it.
func (o Options) CheckURL(u *url.URL) error {
	host := normalHost(u.Hostname())
	switch {
	case host == "":
		return refuse("%q has no host", u.Redacted())
	case u.User != nil:
		return refuse("address of %s has a user name: remove it", host)
	case u.Scheme != "https" && (u.Scheme != "http" || !o.plainAllowed(host)):
		return refuse("address of %s begins with %q: use https (plain http is for localhost outside of production)", host, u.Scheme+":")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return o.checkAddr(host, addr)
	}
	return nil
}

func (o Options) plainAllowed(host string) bool {
	return o.AllowLocalhost && isLocal(host) || slices.ContainsFunc(o.PlainHTTP, func(allowed string) bool {
		return normalHost(allowed) == host
	})
}

// HostPort returns the host and port of an http or https URL, with the scheme's default port if the URL has none.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// normalHost returns the form of a host name in which hosts are compared.
func normalHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// isLocal reports whether a normalised host is localhost or a literal loopback address.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// transport checks the URL of each request, redirects included, before anything is looked up.
type transport struct {
	options Options
	base    *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.options.CheckURL(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must close the body on errors too
		}
		return nil, err
	}
	return t.base.RoundTrip(r)
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// checkRedirect lets GET and HEAD follow a few redirects within one host and scheme. Other methods get the redirect as
// their response: their body is meant for one address.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	if next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return refuse("%s redirects to %s://%s: configure the address it ends at", first.URL.Host, next.URL.Scheme, next.URL.Host)
	}
	if len(via) > maxRedirects {
		return refuse("%s redirects more than %d times", first.URL.Host, maxRedirects)
	}
	return nil
}

// ReadBody reads and closes a response body. It fails if the body is longer than limit bytes.
func ReadBody(response *http.Response, limit int64) ([]byte, error) {
	defer func() { _ = response.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the response: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("response has more than %d bytes", limit)
	}
	return body, nil
}
