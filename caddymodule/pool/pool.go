// Package pool holds what survives a reload. On a reload the new configuration starts before the old one stops, so
// both share what can exist only once: the open store with the running smartcard jobs, the audit log, the fetched key
// sets and endpoint catalogues, the counters. Each configuration has a Share of what it uses. It acquires the Share
// in Provision or Start and releases it in Cleanup; the last release ends the shared value.
package pool

import (
	"errors"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

var things = caddy.NewUsagePool()

// ErrEnded is the error of a configuration that acquires something new after it has ended.
var ErrEnded = errors.New("this configuration has ended")

// Share is one configuration's share of a value in the pool. It releases only what it has acquired: after a failed
// reload the value still belongs to the running configuration. The zero value has acquired nothing.
type Share[T caddy.Destructor] struct {
	mu       sync.Mutex
	key      string
	value    T
	acquired bool
	released bool
}

// Acquire joins the value under the key, or makes it. After Release it still returns the value it had, for requests
// that are finishing.
func (s *Share[T]) Acquire(key string, begin func() (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acquired {
		return s.value, nil
	}
	if s.released {
		return s.value, ErrEnded
	}
	value, _, err := things.LoadOrNew(key, func() (caddy.Destructor, error) { return begin() })
	if err != nil {
		return s.value, err
	}
	s.key, s.value, s.acquired = key, value.(T), true
	return s.value, nil
}

// Held returns the value if it was acquired and not released yet.
func (s *Share[T]) Held() (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.acquired && !s.released
}

// Value returns the acquired value, also after its release. It is for values that Provision acquires before anybody
// can ask.
func (s *Share[T]) Value() T { return s.value }

// Release releases the value once. The last release ends it.
func (s *Share[T]) Release() error {
	s.mu.Lock()
	last := s.acquired && !s.released
	s.released = true
	s.mu.Unlock() // unlocked first: jobs that are ending still ask for the store
	if !last {
		return nil
	}
	_, err := things.Delete(s.key)
	return err
}
