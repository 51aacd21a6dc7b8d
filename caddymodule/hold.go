package caddymodule

import (
	"errors"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

// pool holds what outlives a reload. On a reload the new configuration starts before the old one stops, so both
// share what there can be only one of: the open store with the smartcard jobs that are running, the audit log, the
// key sets that were fetched, the counters.
var pool = caddy.NewUsagePool()

// errEnded is what a configuration gets that asks for something new after it has ended.
var errEnded = errors.New("this configuration has ended")

// hold is one configuration's share in something of the pool. It lets go if, and only if, it has acquired: after a
// failed reload the thing is still the running configuration's.
type hold[T caddy.Destructor] struct {
	mu       sync.Mutex
	key      string
	value    T
	acquired bool
	released bool
}

// acquire joins those who share what the key names, or makes it. After release it still gives what it gave before,
// for requests that are finishing.
func (h *hold[T]) acquire(key string, begin func() (T, error)) (T, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.acquired {
		return h.value, nil
	}
	if h.released {
		return h.value, errEnded
	}
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return begin() })
	if err != nil {
		return h.value, err
	}
	h.key, h.value, h.acquired = key, value.(T), true
	return h.value, nil
}

// held is what was acquired and not released yet.
func (h *hold[T]) held() (value T, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.value, h.acquired && !h.released
}

// release lets go, once. Whoever is the last to do so ends the thing.
func (h *hold[T]) release() error {
	h.mu.Lock()
	last := h.acquired && !h.released
	h.released = true
	h.mu.Unlock() // before the thing ends: jobs that are ending still ask for the store
	if !last {
		return nil
	}
	_, err := pool.Delete(h.key)
	return err
}
