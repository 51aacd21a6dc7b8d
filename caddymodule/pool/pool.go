// Package pool is for what outlives a reload. On a reload the new configuration starts before the old one stops, so both
// share what there can be only one of: the open store with the smartcard jobs that are running, the audit log, the
// key sets and endpoint catalogues that were fetched, the counters. Each configuration has a Share of what it uses, which
// it acquires in Provision or Start and releases in Cleanup; whoever is the last to do so ends the thing.
package pool

import (
	"errors"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

var things = caddy.NewUsagePool()

// ErrEnded is what a configuration gets that asks for something new after it has ended.
var ErrEnded = errors.New("this configuration has ended")

// Share is one configuration's part in something of the pool. It lets go if, and only if, it has acquired: after a
// failed reload the thing is still the running configuration's. The zero value has acquired nothing.
type Share[T caddy.Destructor] struct {
	mu       sync.Mutex
	key      string
	value    T
	acquired bool
	released bool
}

// Acquire joins those who share what the key names, or makes it. After Release it still gives what it gave before,
// for requests that are finishing.
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

// Held is what was acquired and not released yet.
func (s *Share[T]) Held() (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.acquired && !s.released
}

// Value is what was acquired, also after it was released: for what Provision acquires before anybody can ask.
func (s *Share[T]) Value() T { return s.value }

// Release lets go, once. Whoever is the last to do so ends the thing.
func (s *Share[T]) Release() error {
	s.mu.Lock()
	last := s.acquired && !s.released
	s.released = true
	s.mu.Unlock() // before the thing ends: jobs that are ending still ask for the store
	if !last {
		return nil
	}
	_, err := things.Delete(s.key)
	return err
}
