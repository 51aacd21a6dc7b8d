package jwks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// origin is a RoundTripper that publishes sets. Its answer can be changed and delayed.
type origin struct {
	mu      sync.Mutex
	status  int
	body    []byte
	err     error
	delay   time.Duration
	fetches int
}

func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	o.fetches++
	status, body, err, delay := o.status, o.body, o.err, o.delay
	o.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func (o *origin) answer(body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.status, o.body, o.err = http.StatusOK, body, nil
}

func (o *origin) fail() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = errors.New("connection refused")
}

func (o *origin) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fetches
}

const setURL = "https://keys.example/set.json"

// withCache runs a test on a fake clock with one client, epr, whose set is at setURL.
func withCache(t *testing.T, test func(t *testing.T, o *origin, cache *Cache, registry *Registry)) {
	t.Helper()
	testSigner(t, "k0") // generates the keys on the real clock
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		cache := NewCache(&http.Client{Transport: o}, CacheOptions{})
		defer cache.Close()
		test(t, o, cache, eprRegistry(t, cache))
	})
}

func eprRegistry(t *testing.T, cache *Cache) *Registry {
	t.Helper()
	registry, err := NewRegistry([]ClientKeys{{Client: "epr", URL: setURL}}, cache, RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

func expectKey(t *testing.T, registry *Registry, kid string, want error) {
	t.Helper()
	key, err := registry.Key(t.Context(), "epr", kid)
	if !errors.Is(err, want) || err == nil && key.KID() != kid {
		t.Errorf("key %s: got %v, want %v", kid, err, want)
	}
}

func expectFetches(t *testing.T, o *origin, want int) {
	t.Helper()
	synctest.Wait()
	if got := o.count(); got != want {
		t.Errorf("got %d fetches, want %d", got, want)
	}
}

func TestUnknownKIDsNeverAmplify(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		expectKey(t, registry, "k0", nil)
		expectFetches(t, o, 1)
		for range 100 {
			expectKey(t, registry, "bogus", ErrUnknownKID)
		}
		expectFetches(t, o, 1)
		pass(time.Minute)
		for range 100 {
			expectKey(t, registry, "bogus", ErrUnknownKID)
		}
		expectFetches(t, o, 2)
		o.fail()
		pass(time.Minute)
		for range 100 {
			expectKey(t, registry, "bogus", ErrUnknownKID)
			expectKey(t, registry, "k0", nil)
		}
		expectFetches(t, o, 3)
		if _, err := registry.Key(t.Context(), "stranger", "k0"); !errors.Is(err, ErrUnknownClient) {
			t.Errorf("key of an unknown client: got %v, want %v", err, ErrUnknownClient)
		}
		pass(time.Minute)
		expectKey(t, registry, strings.Repeat("k", maxKID+1), ErrUnknownKID)
		expectFetches(t, o, 3)
	})
}

func TestRotationIsSeenWithinAMinute(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		expectKey(t, registry, "k0", nil)
		pass(10 * time.Minute)
		o.answer(publicSet(t, testSigner(t, "k1")))
		expectKey(t, registry, "k0", nil)
		expectKey(t, registry, "k1", nil)
		expectKey(t, registry, "k0", ErrUnknownKID)
		expectFetches(t, o, 2)
	})
}

func TestStaleIsServedWhileItIsRefreshed(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		expectKey(t, registry, "k0", nil)
		pass(time.Hour)
		expectKey(t, registry, "k0", nil)
		expectFetches(t, o, 1)
		pass(time.Second)
		o.delay = 5 * time.Second
		start := time.Now()
		expectKey(t, registry, "k0", nil)
		if time.Since(start) != 0 {
			t.Errorf("request waited %v for the refresh of a stale set, want no wait", time.Since(start))
		}
		expectFetches(t, o, 2)
		pass(6 * time.Second)
		expectKey(t, registry, "k0", nil)
		expectFetches(t, o, 2)
	})
}

func TestBadSetNeverReplacesAGoodOne(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		expectKey(t, registry, "k0", nil)
		for i, body := range []string{"<html>", `{"keys":[{"kty":"oct","kid":"k1","k":"AAAA"}]}`, strings.Repeat(" ", maxSetBytes+1)} {
			o.answer([]byte(body))
			pass(2 * time.Hour)
			expectKey(t, registry, "k0", nil)
			expectFetches(t, o, 2+i)
			if s := registry.Status()[0]; s.Error == "" || len(s.Keys) != 1 || s.Age(time.Now()) < time.Hour || s.Next.IsZero() {
				t.Errorf("status: got %+v, want an error, one key over an hour old and a next fetch", s)
			}
		}
		o.answer(publicSet(t, testSigner(t, "k0")))
		o.status = http.StatusNotFound
		pass(2 * time.Hour)
		expectKey(t, registry, "k0", nil)
		// A well-formed empty set means that its owner has withdrawn the keys.
		o.answer([]byte(`{"keys":[]}`))
		pass(time.Minute)
		expectKey(t, registry, "k1", ErrUnknownKID)
		expectKey(t, registry, "k0", ErrUnknownKID)
		if s := registry.Status()[0]; s.Error != "" || len(s.Keys) != 0 {
			t.Errorf("status: got %+v, want no error and no keys", s)
		}
	})
}

func TestNeverFetchedBacksOff(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.fail()
		expectKey(t, registry, "k0", ErrUnreachable)
		fetches := 1
		waits := append(slices.Repeat([]time.Duration{1}, evenRetries), 2, 4, 8, 16, 32, 60, 60)
		for _, wait := range waits {
			pass(wait*time.Second - time.Millisecond)
			expectKey(t, registry, "k0", ErrUnreachable)
			expectFetches(t, o, fetches)
			pass(time.Millisecond)
			expectKey(t, registry, "k0", ErrUnreachable)
			fetches++
			expectFetches(t, o, fetches)
		}
		o.answer(publicSet(t, testSigner(t, "k0")))
		pass(time.Minute)
		expectKey(t, registry, "k0", nil)
	})
}

func TestOneFetchForManyWaiters(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		o.delay = 2 * time.Second
		var waiters sync.WaitGroup
		for range 50 {
			waiters.Go(func() { expectKey(t, registry, "k0", nil) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := registry.Key(ctx, "epr", "k0"); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("key after its request ended: got %v, want %v and %v", err, ErrUnreachable, context.DeadlineExceeded)
		}
		waiters.Wait()
		expectFetches(t, o, 1)
	})
}

func TestFetchIsBoundedInTime(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.delay = time.Hour
		start := time.Now()
		expectKey(t, registry, "k0", ErrUnreachable)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("fetch took %v, want 10s", took)
		}
	})
}

func TestWarmRetriesByItself(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.fail()
		registry.Warm(t.Context())
		expectFetches(t, o, 1)
		pass(time.Second)
		expectFetches(t, o, 2)
		o.answer(publicSet(t, testSigner(t, "k0")))
		pass(2 * time.Second)
		expectFetches(t, o, 3)
		expectKey(t, registry, "k0", nil)
		registry.Warm(t.Context())
		pass(10 * time.Minute)
		expectFetches(t, o, 3)
	})
}

func TestWarmEndsWithItsContext(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.fail()
		ctx, cancel := context.WithCancel(t.Context())
		registry.Warm(ctx)
		expectFetches(t, o, 1)
		cancel()
		pass(time.Hour)
		expectFetches(t, o, 1)
	})
}

func TestCacheOutlivesTheRegistry(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, cache *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		expectKey(t, registry, "k0", nil)
		o.fail()
		pass(2 * time.Hour)
		expectKey(t, eprRegistry(t, cache), "k0", nil)
	})
}

func TestCloseEndsFetchesAndKeepsSets(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, cache *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		expectKey(t, registry, "k0", nil)
		pass(2 * time.Minute)
		o.delay = 9 * time.Second
		start := time.Now()
		go func() {
			pass(time.Second)
			cache.Close()
		}()
		expectKey(t, registry, "k1", ErrUnknownKID)
		if took := time.Since(start); took != time.Second {
			t.Errorf("fetch in flight ended %v after its start, want 1s, when Close was called", took)
		}
		pass(2 * time.Hour)
		expectKey(t, registry, "k0", nil)
		registry.Warm(t.Context())
		expectFetches(t, o, 2)
		if s := registry.Status()[0]; s.Error != "" {
			t.Errorf("status after Close: got error %s, want none", s.Error)
		}
	})
}

func TestFetchIsBoundedInSize(t *testing.T) {
	body := publicSet(t, testSigner(t, "k0"))
	for spare, want := range map[int]error{0: nil, -1: ErrUnreachable} {
		synctest.Test(t, func(t *testing.T) {
			o := &origin{}
			o.answer(body)
			cache := NewCache(&http.Client{Transport: o}, CacheOptions{MaxBody: int64(len(body) + spare)})
			defer cache.Close()
			expectKey(t, eprRegistry(t, cache), "k0", want)
		})
	}
}

func TestFetchLogNamesClientAndURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.fail()
		var logged bytes.Buffer
		cache := NewCache(&http.Client{Transport: o}, CacheOptions{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		expectKey(t, eprRegistry(t, cache), "k0", ErrUnreachable)
		cache.Close()
		for _, part := range []string{"level=WARN", "client=epr", "url=" + setURL, "connection refused"} {
			if !strings.Contains(logged.String(), part) {
				t.Errorf("log: got %q, want it to contain %q", logged.String(), part)
			}
		}
	})
}

// pass advances the fake clock of the test's bubble.
func pass(d time.Duration) { <-time.After(d) }

// TestRefresh fetches a set that was fetched a moment ago, once a call.
func TestRefresh(t *testing.T) {
	withCache(t, func(t *testing.T, o *origin, _ *Cache, registry *Registry) {
		o.answer(publicSet(t, testSigner(t, "k0")))
		expectKey(t, registry, "k0", nil)
		o.answer(publicSet(t, testSigner(t, "k1")))
		expectKey(t, registry, "k1", ErrUnknownKID)
		expectFetches(t, o, 1)
		states, err := registry.Refresh(t.Context(), "epr")
		if err != nil || len(states) != 1 || states[0].Error != "" || len(states[0].Keys) != 1 || states[0].Keys[0].KID != "k1" {
			t.Errorf("got %+v, %v, want the key k1", states, err)
		}
		expectKey(t, registry, "k1", nil)
		expectFetches(t, o, 2)
		o.fail()
		if states, err = registry.Refresh(t.Context(), "epr"); err != nil || states[0].Error == "" || len(states[0].Keys) != 1 {
			t.Errorf("unreachable: got %+v, %v, want an error and the key read before", states, err)
		}
		expectFetches(t, o, 3)
		o.delay = 5 * time.Second // a fetch in flight does not count: it began before the call
		o.answer(publicSet(t, testSigner(t, "k2")))
		pass(time.Minute)
		go func() { _, _ = registry.Key(t.Context(), "epr", "other") }()
		synctest.Wait()
		if _, err = registry.Refresh(t.Context(), "epr"); err != nil {
			t.Error(err)
		}
		expectFetches(t, o, 5)
		if _, err = registry.Refresh(t.Context(), "nobody"); !errors.Is(err, ErrUnknownClient) {
			t.Errorf("unknown client: got %v, want ErrUnknownClient", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = registry.Refresh(ctx, "epr"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("slow: got %v, want the deadline", err)
		}
	})
}
