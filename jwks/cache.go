package jwks

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// CacheOptions limits what a Cache fetches and how often. The zero value selects the defaults.
type CacheOptions struct {
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger     // default: nothing is logged
	TTL        time.Duration    // a set older than this is refreshed when it is next used; default 1 hour
	MinRefetch time.Duration    // least time between two fetches of a URL whose set is held; default 1 minute
	MaxBody    int64            // largest set in bytes; default and maximum 1 MiB
	Timeout    time.Duration    // of one fetch, besides the HTTP client's own timeout; default 10 s
}

// The back-off for a URL that has never returned a set, and the number of concurrent fetches.
const (
	firstRetry  = time.Second
	evenRetries = 20 // retries at firstRetry: systems that start together are up within seconds; the interval doubles after them
	lastRetry   = time.Minute
	maxFetches  = 32
)

// Cache holds the key sets fetched from URLs. It outlives a Registry, so that the last good set survives a
// configuration reload. A set goes through these states:
//
//	none ──fetch──▶ fresh ──TTL──▶ stale ──background fetch──▶ fresh
//
// A failed fetch changes nothing: a stale set is still served, and a malformed one never replaces it. Without
// any set, a failed fetch is retried every second, and after twenty retries at 2 s, 4 s and so on up to one
// minute. At most one fetch per URL runs at a time. Fetches belong to the cache, not to the requests that wait
// for them.
type Cache struct {
	client *http.Client
	CacheOptions
	slots chan struct{} // one per fetch in flight

	life  context.Context // ends with Close
	end   context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	remotes map[string]*remote // by URL
}

// remote is one URL and the set last fetched from it.
type remote struct {
	url string

	mu       sync.Mutex
	set      *Set          // the last good set, or nil
	read     time.Time     // when the fetch of set started
	next     time.Time     // no fetch starts earlier
	failures int           // consecutive failures since the last good fetch
	err      error         // error of the last fetch, if it failed
	flight   chan struct{} // closed when the fetch in flight ends; nil if there is none
}

// NewCache returns a cache that fetches with client, which also decides what addresses may be reached.
func NewCache(client *http.Client, options CacheOptions) *Cache {
	options.Now = orTimeNow(options.Now)
	options.Logger = orDiscard(options.Logger)
	options.TTL = orDefault(options.TTL, time.Hour)
	options.MinRefetch = orDefault(options.MinRefetch, time.Minute)
	options.Timeout = orDefault(options.Timeout, 10*time.Second)
	options.MaxBody = min(orDefault(options.MaxBody, maxSetBytes), maxSetBytes)
	c := &Cache{
		client: client, CacheOptions: options,
		slots:   make(chan struct{}, maxFetches),
		remotes: make(map[string]*remote),
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

func orDefault[T time.Duration | int64](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Close cancels all fetches and waits for them. Sets can still be read; nothing more is fetched.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.tasks.Wait()
}

// spawn runs a task that Close waits for. It returns false if the cache is closed.
func (c *Cache) spawn(task func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.tasks.Go(task)
	return true
}

func (c *Cache) remote(url string) *remote {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.remotes[url]
	if !ok {
		r = &remote{url: url}
		c.remotes[url] = r
	}
	return r
}

// key returns a key from the set of a URL. A key that is held is returned at once. For an unknown one, key
// waits for a fetch, if one is in flight or may start.
func (c *Cache) key(ctx context.Context, client, url, kid string) (*Key, error) {
	r := c.remote(url)
	r.mu.Lock()
	key, err := r.lookup(kid)
	if err == nil && c.Now().Sub(r.read) <= c.TTL {
		r.mu.Unlock()
		return key, nil
	}
	flight := c.fetch(r, client) //nolint:contextcheck // the fetch belongs to the cache, not to the request
	r.mu.Unlock()
	if err == nil || flight == nil {
		return key, err
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookup(kid)
}

// lookup returns a key of the current set. r.mu must be held.
func (r *remote) lookup(kid string) (*Key, error) {
	if r.set == nil {
		if r.err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, r.err)
		}
		return nil, ErrUnreachable
	}
	if key, ok := r.set.Key(kid); ok {
		return key, nil
	}
	return nil, r.set.without(kid)
}

// fetch starts a fetch unless one is in flight, and returns a channel that is closed when it ends; nil if none
// may start now. r.mu must be held.
func (c *Cache) fetch(r *remote, client string) <-chan struct{} {
	if r.flight != nil {
		return r.flight
	}
	if c.Now().Before(r.next) {
		return nil
	}
	flight := make(chan struct{})
	if !c.spawn(func() {
		defer close(flight)
		c.refresh(r, client)
	}) {
		return nil
	}
	r.flight = flight
	return flight
}

// refresh fetches once and stores the result.
func (c *Cache) refresh(r *remote, client string) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-c.life.Done():
	}
	started := c.Now()
	set, err := c.download(r.url)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.flight = nil
	logger := c.Logger.With("client", client, "url", r.url)
	if err != nil {
		c.failed(r, started, err, logger)
		return
	}
	if r.set == nil || r.failures > 0 || kidList(r.set) != kidList(set) || !slices.Equal(r.set.skipped, set.skipped) {
		set.log(logger)("key set fetched", "kids", kidList(set), "left_out", set.skipped)
	}
	r.set, r.read, r.err, r.failures = set, started, nil, 0
	r.next = started.Add(c.MinRefetch)
}

// failed records a failed fetch. r.mu must be held.
func (c *Cache) failed(r *remote, started time.Time, err error, logger *slog.Logger) {
	if c.life.Err() != nil {
		return // canceled by Close, which says nothing about the URL
	}
	r.err = err
	wait := min(firstRetry<<min(max(r.failures-evenRetries+1, 0), 10), lastRetry)
	r.failures++
	if r.set == nil {
		r.next = c.Now().Add(wait)
		logger.Warn("key set could not be fetched and the client is refused meanwhile: check its URL and the set",
			"error", err, "next_try", r.next)
		return
	}
	r.next = started.Add(c.MinRefetch)
	logger.Warn("key set could not be refreshed and the previous keys stay in use: check its URL and the set",
		"error", err, "age", c.Now().Sub(r.read), "next_try", r.next)
}

// download fetches and parses a set, bounded in time and size. The media type is ignored: sets are published
// under many.
func (c *Cache) download(url string) (*Set, error) {
	ctx, cancel := context.WithTimeout(c.life, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching the key set: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching the key set: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the key set: got status %d, want 200", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, c.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if int64(len(data)) > c.MaxBody {
		return nil, fmt.Errorf("the key set is larger than %d bytes", c.MaxBody)
	}
	return ParseSet(data)
}

// warm fetches a set in the background, retrying until it has one.
func (c *Cache) warm(ctx context.Context, client, url string) {
	r := c.remote(url)
	c.spawn(func() {
		for ctx.Err() == nil && c.life.Err() == nil {
			r.mu.Lock()
			if r.set != nil {
				r.mu.Unlock()
				return
			}
			flight := c.fetch(r, client) //nolint:contextcheck // the fetch belongs to the cache, not to the caller
			var retry <-chan time.Time
			if flight == nil {
				retry = time.After(r.next.Sub(c.Now()))
			}
			r.mu.Unlock()
			select {
			case <-flight:
			case <-retry:
			case <-ctx.Done():
			case <-c.life.Done():
			}
		}
	})
}

// status reports the state of a URL.
func (c *Cache) status(client, url string) SourceStatus {
	r := c.remote(url)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := SourceStatus{Client: client, Source: url, Read: r.read, Next: r.next}
	if r.err != nil {
		s.Error = r.err.Error()
	}
	return s.fill(r.set)
}
