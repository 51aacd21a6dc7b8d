// Package outbound makes the one HTTP client for every address that comes from outside or from
// configuration: key sets, webhooks, catalogues, revocation lists, discovery.
//
// A client made here speaks https (plain http only where Options says so), to addresses of the public
// internet only, unless a network is allowed. What a host name resolves to is checked and then dialled as it
// was checked, so a second, different answer of the name server finds no gap. It never uses a proxy of the
// environment, never follows a redirect to another host or scheme, and bounds time and headers. Bodies are
// bounded by ReadBody.
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
	maxHeader      = 64 << 10 // bytes of an answer's header
)

// ErrRefused is what every refusal of an address, a scheme or a redirect by this package unwraps to. Trying
// again does not help until configuration, or the name's addresses, change.
var ErrRefused = errors.New("refused by the rules for outgoing requests")

// Resolver looks up host names. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options say where a client may go. The zero value is right for production: https to public addresses.
type Options struct {
	// AllowNetworks are networks that may be dialled though they are not public.
	AllowNetworks []netip.Prefix
	// AllowLocalhost allows plain http, and loopback addresses, for the host name localhost and for literal
	// loopback addresses. It is for development and never for production.
	AllowLocalhost bool
	// PlainHTTP lists host names for which plain http is allowed, such as those of revocation lists, which
	// carry their own signature.
	PlainHTTP []string
	// Timeout bounds the whole exchange: lookup, connection, answer and reading its body. Default 10 s.
	Timeout time.Duration
	// Resolver looks up names. Default net.DefaultResolver.
	Resolver Resolver
	// RootCAs are who may vouch for a server. Default: the system's.
	RootCAs *x509.CertPool
}

// New makes a client. It keeps connections for a while; CloseIdleConnections lets go of them.
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

// NewDialer makes a dialer that connects as New's clients do, for transports of other making. Its timeout bounds
// lookup and connection.
func NewDialer(options Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	if options.Timeout <= 0 {
		options.Timeout = defaultTimeout
	}
	if options.Resolver == nil {
		options.Resolver = net.DefaultResolver
	}
	return (&dialer{options: options}).dial
}

// CheckURL tells whether a client with these options would send a request to u, as far as that can be said
// without a lookup: scheme, host, and literal addresses. Configuration is validated with it. Its error
// unwraps to ErrRefused.
func (o Options) CheckURL(u *url.URL) error {
	host := normalHost(u.Hostname())
	switch {
	case host == "":
		return refuse("%q names no host", u.Redacted())
	case u.User != nil:
		return refuse("the address of %s holds a user name; take it out", host)
	case u.Scheme != "https" && (u.Scheme != "http" || !o.plainAllowed(host)):
		return refuse("%s: its address begins with %q; use https (plain http is for localhost outside production)", host, u.Scheme+":")
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

// HostPort is where an http or https URL is connected to, with the scheme's port where the URL names none.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// normalHost brings a host name into the form in which hosts are compared.
func normalHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// isLocal tells whether a host, in normal form, is localhost or a literal loopback address.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// transport checks each request's URL, also of those a redirect leads to, before anything is looked up.
type transport struct {
	options Options
	base    *http.Transport
}

// RoundTrip sends one request, as http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.options.CheckURL(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes the body also on errors
		}
		return nil, err
	}
	return t.base.RoundTrip(r)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// checkRedirect lets a GET or HEAD follow a few redirects within its host and scheme. Other methods get the
// redirect itself as their answer: what they carry is meant for one address.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	if next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return refuse("%s redirects to %s://%s; configure the address it ends at", first.URL.Host, next.URL.Scheme, next.URL.Host)
	}
	if len(via) > maxRedirects {
		return refuse("%s redirects more than %d times", first.URL.Host, maxRedirects)
	}
	return nil
}

// ReadBody reads an answer's body, of at most limit bytes, and closes it.
func ReadBody(response *http.Response, limit int64) ([]byte, error) {
	defer func() { _ = response.Body.Close() }() // it was read; there is nothing to be lost
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the answer has more than %d bytes", limit)
	}
	return body, nil
}
