package jwks

import (
	"context"
	"fmt"
)

// Refresh reads every source of a client's keys now, however recently that was done, and returns their state afterwards. A
// source that cannot be read has its Error there and keeps the keys that it had. The error is ErrUnknownClient, ErrNoKeys, or
// that of ctx, which ends the wait and not the fetch.
func (r *Registry) Refresh(ctx context.Context, client string) ([]SourceStatus, error) {
	sources, ok := r.clients[client]
	switch {
	case !ok:
		return nil, ErrUnknownClient
	case len(sources.files) == 0 && sources.url == "":
		return nil, ErrNoKeys
	}
	var all []SourceStatus
	for _, f := range sources.files {
		f.forget()
		f.current(r.now(), client, r.logger)
		all = append(all, f.status(client))
	}
	if sources.url != "" {
		if err := r.cache.fetchNow(ctx, client, sources.url); err != nil {
			return nil, err
		}
		all = append(all, r.cache.status(client, sources.url))
	}
	return all, nil
}

// forget has the next call of current read the file, even if it looks unchanged.
func (f *file) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked, f.again = f.checked.Add(-recheck), true
}

// fetchNow waits for a fetch of a URL that begins after the call. A fetch in flight is waited for first: it may have begun
// before the owner changed the set.
func (c *Cache) fetchNow(ctx context.Context, client, url string) error {
	r := c.remote(url)
	for begun := false; !begun; {
		r.mu.Lock()
		flight := (<-chan struct{})(r.flight)
		if flight == nil {
			r.next, begun = c.Now(), true
			flight = c.fetch(r, client) //nolint:contextcheck // the fetch belongs to the cache, not to the caller
		}
		r.mu.Unlock()
		if flight == nil {
			return fmt.Errorf("%w: the gateway is stopping", ErrUnreachable)
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the key set: %w", context.Cause(ctx))
		}
	}
	return nil
}
