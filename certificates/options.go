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

// DefaultHosts are whose addresses are used where Options does not say: where the lists of NHS smartcards are.
func DefaultHosts() []string { return []string{"crl.nhs.uk"} }

// defaultMaxEntries is the most that one list may hold.
const defaultMaxEntries = 500_000

// Options say where revocations are learnt, and how much of it is kept. The zero value is fine.
type Options struct {
	// Hosts are the hosts, or host:port, that certificates may send us to for lists and responders; without a port
	// the scheme's own. Default: DefaultHosts.
	Hosts []string

	// Rewrites lead addresses of those hosts through a relay: the first whose From fits.
	Rewrites []Rewrite

	// Local are addresses of lists that are not fetched but read from elsewhere.
	Local map[string]func(ctx context.Context) ([]byte, error)

	// Outbound says which networks may be reached. Plain http is added for Hosts and relays, since lists and answers
	// carry their own signature. Its Timeout, default 20 s, bounds one fetch.
	Outbound outbound.Options

	Dir        string        // where lists are kept over a restart; empty: nowhere
	MaxBytes   int64         // of one list; default 32 MiB
	MaxEntries int           // of one list; default 500,000
	Refresh    time.Duration // a list older than this is fetched anew; default 1 hour, and half a list's life at most
	Stale      time.Duration // how long after its nextUpdate a list still proves something; default 0
	NoOCSP     bool          // ask no responders

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: nothing is logged
}

// Rewrite leads addresses that begin with From, up to the end or a slash, to what stands in To.
type Rewrite struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// complete fills in defaults and refuses what can never work.
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
			return fmt.Errorf("rewrite %q: it must begin with http:// or https:// and a host", rewrite.From)
		}
		to, err := url.Parse(rewrite.To)
		if err != nil || to.Host == "" || !isWeb(to) || to.RawQuery != "" || to.Fragment != "" {
			return fmt.Errorf("rewrite to %q: it must be an http or https address without query", rewrite.To)
		}
		o.Outbound.PlainHTTP = append(slices.Clip(o.Outbound.PlainHTTP), to.Hostname())
	}
	setDefault(&o.Outbound.Timeout, 20*time.Second)
	setDefault(&o.MaxBytes, 32<<20)
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

// hostOf is a host without its port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// address is where an address out of a certificate leads: only to a host that was named, and through its relay.
func (o *Options) address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !isWeb(u) || u.User != nil {
		return nil, fmt.Errorf("it is not an http or https address")
	}
	u.Host, u.Fragment = strings.ToLower(u.Host), ""
	if !slices.ContainsFunc(o.Hosts, func(allowed string) bool { return sameHost(u, allowed) }) {
		return nil, fmt.Errorf("its host is not among the hosts that may be asked; add %s under hosts if it is meant", printable(u.Host))
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

// sameHost holds an address against a host that is allowed: on its own port, or else the scheme's.
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

// printable is a text out of a certificate as a log may hold it.
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
