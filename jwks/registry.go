package jwks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The reasons why Registry.Key returns no key. Its errors wrap one of these.
var (
	ErrUnknownClient = errors.New("the client is not configured")
	ErrNoKeys        = errors.New("the client has no key registered")
	ErrUnreachable   = errors.New("the client's key set could not be fetched")
	ErrUnknownKID    = errors.New("the client has no key with this kid")
)

// KeyFile is a PEM public key file, with the kid that the client puts in its tokens.
type KeyFile struct{ KID, Path string }

// ClientKeys lists the key sources of one client. Sources can be combined; if several have the same kid, PEM
// files take precedence over set files, and those over the URL.
type ClientKeys struct {
	Client   string    // the client id, which is iss in its tokens
	URL      string    // of a JWK set
	SetFiles []string  // paths of JWK sets
	Keys     []KeyFile // PEM public keys
}

// RegistryOptions configures a Registry. The zero value selects the defaults.
type RegistryOptions struct {
	Now       func() time.Time // default time.Now
	Logger    *slog.Logger     // default: nothing is logged
	CryptoRSA bool             // verify with crypto/rsa instead of this package
}

// Registry finds the public keys of clients. There is one per configuration; fetched sets live in the Cache,
// which outlives it. Files may change while it is in use.
type Registry struct {
	clients   map[string]*clientSources
	cache     *Cache
	now       func() time.Time
	logger    *slog.Logger
	cryptoRSA bool
}

type clientSources struct {
	files []*file
	url   string
}

// NewRegistry loads the files of all clients. It fails if one cannot be read or used; the error names the client
// and the file. URLs are not fetched here but by Warm and Key. The cache may be nil if no client has a URL.
func NewRegistry(clients []ClientKeys, cache *Cache, options RegistryOptions) (*Registry, error) {
	r := &Registry{
		clients:   make(map[string]*clientSources, len(clients)),
		cache:     cache,
		now:       orTimeNow(options.Now),
		logger:    orDiscard(options.Logger),
		cryptoRSA: options.CryptoRSA,
	}
	for _, c := range clients {
		if _, twice := r.clients[c.Client]; twice {
			return nil, fmt.Errorf("client %q is configured twice", c.Client)
		}
		sources, err := r.sources(c)
		if err != nil {
			return nil, fmt.Errorf("client %q: %w", c.Client, err)
		}
		r.clients[c.Client] = sources
	}
	return r, nil
}

func (r *Registry) sources(c ClientKeys) (*clientSources, error) {
	sources := &clientSources{url: c.URL}
	if c.URL != "" {
		if err := checkSetURL(c.URL); err != nil {
			return nil, err
		}
		if r.cache == nil {
			return nil, errors.New("keys are at a URL, but there is no cache to fetch them")
		}
	}
	kids := make(map[string]bool)
	for _, k := range c.Keys {
		if kids[k.KID] {
			return nil, fmt.Errorf("kid %.64q names two key files; a kid must name one key", k.KID)
		}
		kids[k.KID] = true
		sources.files = append(sources.files, pemFile(k))
	}
	for _, path := range c.SetFiles {
		sources.files = append(sources.files, &file{path: path, parse: ParseSet})
	}
	for _, f := range sources.files {
		if err := f.first(r.now()); err != nil {
			return nil, err
		}
		for _, line := range f.set.skipped {
			f.set.log(r.logger)("key left out", "client", c.Client, "file", f.path, "why", line)
		}
	}
	return sources, nil
}

// checkSetURL rejects what cannot be the address of a set. The HTTP client of the cache decides which hosts and
// schemes may be reached.
func checkSetURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return errors.New("key set address is not an http or https URL")
	case u.User != nil:
		return fmt.Errorf("key set address %s has a user name: remove it, a key set is public", u.Redacted())
	}
	return nil
}

// Key returns the key with this kid of this client. It may wait, until ctx ends, for a set to be fetched: the
// first time, or if the kid is unknown and the last fetch was over a minute ago. A client or a kid that cannot
// exist causes no fetch.
func (r *Registry) Key(ctx context.Context, client, kid string) (*Key, error) {
	sources, ok := r.clients[client]
	switch {
	case !ok:
		return nil, ErrUnknownClient
	case len(sources.files) == 0 && sources.url == "":
		return nil, ErrNoKeys
	case checkKID(kid) != nil:
		return nil, ErrUnknownKID
	}
	without := ErrUnknownKID
	for _, f := range sources.files {
		set := f.current(r.now(), client, r.logger)
		if key, ok := set.Key(kid); ok {
			return r.finish(key), nil
		}
		switch why := set.leftOut[kid]; {
		case errors.Is(why, errTwoKeys):
			return nil, set.without(kid)
		case why != nil:
			without = set.without(kid)
		}
	}
	if sources.url == "" {
		return nil, without
	}
	key, err := r.cache.key(ctx, client, sources.url, kid)
	if err != nil {
		return nil, err
	}
	return r.finish(key), nil
}

func (r *Registry) finish(key *Key) *Key {
	if r.cryptoRSA {
		return key.WithCryptoRSA()
	}
	return key
}

// Warm starts fetching every set that the cache does not hold yet. It retries with back-off until the set is
// fetched, ctx ends or the cache is closed. Warm does not wait; Cache.Close does.
func (r *Registry) Warm(ctx context.Context) {
	for client, sources := range r.clients {
		if sources.url != "" {
			r.cache.warm(ctx, client, sources.url)
		}
	}
}

// SourceStatus is the state of one source of one client's keys. It holds nothing secret.
type SourceStatus struct {
	Client  string      `json:"client"`
	Source  string      `json:"source"` // path or URL
	Keys    []KeyStatus `json:"keys"`
	Skipped []string    `json:"skipped,omitempty"`
	Read    time.Time   `json:"read,omitzero"`   // when the keys were read; zero if never
	Error   string      `json:"error,omitempty"` // of the last attempt, if it failed
	Next    time.Time   `json:"next,omitzero"`   // no attempt earlier than this; zero: no limit
}

// Age returns how long ago the keys were read. It is zero if they never were.
func (s SourceStatus) Age(now time.Time) time.Duration {
	if s.Read.IsZero() {
		return 0
	}
	return now.Sub(s.Read)
}

// KeyStatus describes one key.
type KeyStatus struct {
	KID        string `json:"kid"`
	Bits       int    `json:"bits"`
	Thumbprint string `json:"thumbprint"` // RFC 7638
}

// Status returns the state of every source of every client, ordered by client, files before URLs.
func (r *Registry) Status() []SourceStatus {
	var all []SourceStatus
	for client, sources := range r.clients {
		for _, f := range sources.files {
			f.current(r.now(), client, r.logger)
			all = append(all, f.status(client))
		}
		if sources.url != "" {
			all = append(all, r.cache.status(client, sources.url))
		}
	}
	slices.SortStableFunc(all, func(a, b SourceStatus) int { return cmp.Compare(a.Client, b.Client) })
	return all
}

// fill adds the keys of a set, which may be nil.
func (s SourceStatus) fill(set *Set) SourceStatus {
	s.Keys = []KeyStatus{}
	if set == nil {
		return s
	}
	for _, key := range set.keys {
		s.Keys = append(s.Keys, KeyStatus{KID: key.kid, Bits: key.Bits(), Thumbprint: key.thumbprint})
	}
	s.Skipped = set.Skipped()
	return s
}

// log returns the log function for a message about the set: Warn if its owner has to correct or replace a key.
func (s *Set) log(to *slog.Logger) func(message string, args ...any) {
	if s.faulty {
		return to.Warn
	}
	return to.Info
}

// kidList returns the kids of a set for a log line.
func kidList(set *Set) string {
	kids := make([]string, len(set.keys))
	for i, key := range set.keys {
		kids[i] = key.kid
	}
	return strings.Join(kids, " ")
}

func orTimeNow(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

func orDiscard(logger *slog.Logger) *slog.Logger {
	if logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return logger
}
