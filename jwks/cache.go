package jwks

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// CacheOptions are the limits of a Cache. The zero value is fine.
type CacheOptions struct {
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger     // default: nothing is logged
	TTL        time.Duration    // a set older than this is refreshed when it is used; default 1 hour
	MinRefetch time.Duration    // a URL whose set we have is not fetched more often than this; default 1 minute
	MaxBody    int64            // bytes of a set; default and most 1 MiB
	Timeout    time.Duration    // of one fetch, beside the HTTP client's own; default 10 s
}

// How fetches of a URL that never gave a set are spaced, and how many run at once.
const (
	firstRetry = time.Second
	evenTries  = 20 // at firstRetry, since systems that start together are soon there; then doubled each time
	lastRetry  = time.Minute
	maxFetches = 32
)

// Cache holds the key sets fetched from URLs. It lives longer than a Registry, so that the last good set
// survives a change of configuration. A set in it is
//
//	none ──fetch──▶ fresh ──TTL──▶ stale ──background fetch──▶ fresh
//
// and stays as it is when a fetch fails: a stale one is served, a bad one never replaces it. With none, a
// failed fetch is tried again each second, and after twenty times after 2 s, 4 s, up to a minute. There is one fetch per URL at a time; they
// are owned by the cache, not by the requests that wait for them.
type Cache struct {
	client *http.Client
	CacheOptions
	slots chan struct{} // one for each fetch under way

	life  context.Context // ends with Close
	end   context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	remotes map[string]*remote // by URL
}

// remote is one URL and the set it gave.
type remote struct {
	url string

	mu       sync.Mutex
	set      *Set          // the last good one, or nil
	read     time.Time     // when set was asked for
	next     time.Time     // no fetch starts before
	failures int           // fetches failed since the last good one
	err      error         // of the last fetch
	flight   chan struct{} // closed when the fetch under way is over; nil: none is
}

// NewCache makes a cache that fetches with client, which says what addresses may be reached.
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

// Close ends all fetches and waits for them. The sets stay readable; nothing is fetched any more.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.tasks.Wait()
}

// spawn runs a task that Close waits for, unless the cache is closed.
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

// key finds a key in the set of a URL. What it has, it returns at once; for what it has not it waits for one
// fetch, if one may start or is under way.
func (c *Cache) key(ctx context.Context, client, url, kid string) (*Key, error) {
	r := c.remote(url)
	r.mu.Lock()
	key, err := r.lookup(kid)
	if err == nil && c.Now().Sub(r.read) <= c.TTL {
		r.mu.Unlock()
		return key, nil
	}
	flight := c.fetch(r, client) //nolint:contextcheck // a fetch is the cache's, not the request's
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

// lookup wants r.mu held.
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

// fetch returns the end of the fetch under way, or of one that it starts; nil where none may start now. It
// wants r.mu held.
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

// refresh fetches once and keeps what came.
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
	if r.set == nil || r.failures > 0 || kidList(r.set) != kidList(set) {
		set.log(logger)("a key set was fetched", "kids", kidList(set), "left_out", set.skipped)
	}
	r.set, r.read, r.err, r.failures = set, started, nil, 0
	r.next = started.Add(c.MinRefetch)
}

// failed notes a failed fetch. It wants r.mu held.
func (c *Cache) failed(r *remote, started time.Time, err error, logger *slog.Logger) {
	if c.life.Err() != nil {
		return // ended by Close, which says nothing about the URL
	}
	r.err = err
	wait := min(firstRetry<<min(max(r.failures-evenTries+1, 0), 10), lastRetry)
	r.failures++
	if r.set == nil {
		r.next = c.Now().Add(wait)
		logger.Warn("a key set could not be fetched; its client is refused until it can: mend the address or the set",
			"error", err, "next_try", r.next)
		return
	}
	r.next = started.Add(c.MinRefetch)
	logger.Warn("a key set could not be fetched again; the keys fetched before stay in use: mend the address or the set",
		"error", err, "age", c.Now().Sub(r.read), "next_try", r.next)
}

// download gets and parses a set, bounded in time and size. The media type is not looked at: sets are
// published under many.
func (c *Cache) download(url string) (*Set, error) {
	ctx, cancel := context.WithTimeout(c.life, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the key set: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking for the key set: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for the key set: the answer is %d, not 200", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, c.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if int64(len(data)) > c.MaxBody {
		return nil, fmt.Errorf("the key set has more than %d bytes", c.MaxBody)
	}
	return ParseSet(data)
}

// warm fetches a set that is not there yet, again and again until it is.
func (c *Cache) warm(ctx context.Context, client, url string) {
	r := c.remote(url)
	c.spawn(func() {
		for ctx.Err() == nil && c.life.Err() == nil {
			r.mu.Lock()
			if r.set != nil {
				r.mu.Unlock()
				return
			}
			flight := c.fetch(r, client) //nolint:contextcheck // a fetch is the cache's, not the caller's
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

// status tells how a URL is doing.
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
