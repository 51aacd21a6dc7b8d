package certificates

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/outbound"
)

// DefaultHosts returns the hosts used if Options names none: those with the lists of NHS smartcards.
func DefaultHosts() []string { return []string{"crl.nhs.uk"} }

// The defaults for the size of one list.
const (
	defaultMaxEntries = 500_000
	defaultMaxBytes   = 32 << 20
)

// Options configures where revocations are looked up, and how much is cached. The zero value selects the defaults.
type Options struct {
	// Hosts are the hosts, or host:port, that certificates may name for lists and responders; without a port, the
	// default port of the scheme. Default: DefaultHosts.
	Hosts []string

	// Rewrites route addresses of those hosts through a relay: the first one whose From matches applies.
	Rewrites []Rewrite

	// Local are addresses of lists that are not fetched but read locally.
	Local map[string]func(ctx context.Context) ([]byte, error)

	// Outbound says which networks may be reached. Plain http is added for Hosts and relays, since lists and answers are
	// signed. Its Timeout, default 20 s, bounds one fetch.
	Outbound outbound.Options

	Dir        string        // where lists are stored across restarts; empty: nowhere
	MaxBytes   int64         // of one list, also after decompression; default 32 MiB
	MaxEntries int           // of one list; default 500,000
	Refresh    time.Duration // age at which a list is fetched again; default 1 hour, and at most half a list's life
	Stale      time.Duration // how long after its nextUpdate a list still counts as current; default 0
	NoOCSP     bool          // do not ask responders

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: nothing is logged
}

// Rewrite maps addresses that begin with From, up to the end or a slash, to To.
type Rewrite struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// complete sets defaults and rejects options that cannot work.
func (o *Options) complete() error {
	if len(o.Hosts) == 0 {
		o.Hosts = DefaultHosts()
	}
	for _, host := range o.Hosts {
		if u, err := url.Parse("http://" + host); err != nil || u.Host != host || u.Hostname() == "" {
			return fmt.Errorf("host %q is not a host name, with or without a port", host)
		}
		o.Outbound.PlainHTTP = append(slices.Clip(o.Outbound.PlainHTTP), hostOf(host))
	}
	for _, rewrite := range o.Rewrites {
		from, err := url.Parse(rewrite.From)
		if err != nil || from.Host == "" || !isWeb(from) {
			return fmt.Errorf("rewrite from %q: must begin with http:// or https:// and a host", rewrite.From)
		}
		to, err := url.Parse(rewrite.To)
		if err != nil || to.Host == "" || !isWeb(to) || to.RawQuery != "" || to.Fragment != "" {
			return fmt.Errorf("rewrite to %q: must be an http or https address without a query", rewrite.To)
		}
		o.Outbound.PlainHTTP = append(slices.Clip(o.Outbound.PlainHTTP), to.Hostname())
	}
	setDefault(&o.Outbound.Timeout, 20*time.Second)
	setDefault(&o.MaxBytes, defaultMaxBytes)
	setDefault(&o.MaxEntries, defaultMaxEntries)
	setDefault(&o.Refresh, time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault[T ~int | ~int64](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

func isWeb(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }

// hostOf returns a host without its port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// address returns where an address from a certificate leads: only to a configured host, and through its relay.
func (o *Options) address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !isWeb(u) || u.User != nil {
		return nil, fmt.Errorf("address is not http or https")
	}
	u.Host, u.Fragment = strings.ToLower(u.Host), ""
	if !slices.ContainsFunc(o.Hosts, func(allowed string) bool { return sameHost(u, allowed) }) {
		return nil, fmt.Errorf("host is not allowed: add %s to hosts if this is intended", printable(u.Host))
	}
	plain := u.String()
	for _, rewrite := range o.Rewrites {
		from := strings.TrimSuffix(rewrite.From, "/")
		if rest, fits := strings.CutPrefix(plain, from); fits && (rest == "" || rest[0] == '/' || rest[0] == '?') {
			return url.Parse(strings.TrimSuffix(rewrite.To, "/") + rest)
		}
	}
	return u, nil
}

// sameHost compares an address with an allowed host: on its port or, without one, the default port of the scheme.
func sameHost(u *url.URL, allowed string) bool {
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if named := u.Port(); named != "" {
		port = named
	}
	standard := port == map[string]string{"http": "80", "https": "443"}[u.Scheme]
	host := strings.TrimSuffix(u.Hostname(), ".")
	if allowedHost, allowedPort, err := net.SplitHostPort(allowed); err == nil {
		return strings.EqualFold(host, allowedHost) && port == allowedPort
	}
	return standard && strings.EqualFold(host, allowed)
}

// printable returns a text from a certificate in loggable form.
func printable(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
