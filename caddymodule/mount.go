package caddymodule

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Mount detects a service mounted with handle instead of handle_path. Then the path prefix is not stripped and every
// request is answered 404, with nothing else in the configuration to show why.
type Mount struct {
	directive string
	base      string   // the path of its address; empty: unknown, or none
	endpoints []string // the first segments of its paths
	logger    *slog.Logger
	told      sync.Once
}

// NewMount returns the Mount of a directive at an address, which may be empty. endpoints are the first segments of its
// paths.
func NewMount(directive, address string, logger *slog.Logger, endpoints ...string) *Mount {
	m := &Mount{directive: directive, endpoints: endpoints, logger: logger}
	if u, err := url.Parse(address); err == nil {
		m.base = strings.TrimSuffix(u.Path, "/")
	}
	return m
}

// Look logs once, with the fix, that a request arrived with the path prefix still on.
func (m *Mount) Look(r *http.Request) {
	if mountedAt(r) != "" {
		return
	}
	if left := m.left(r); left != "" {
		m.told.Do(func() {
			m.logger.Error(m.directive+" answers every request 404 because its path prefix is not stripped: mount it with handle_path instead of handle",
				"path", left, "instead", "handle_path "+left+"/* { "+m.directive+" … }")
		})
	}
}

// left returns the path prefix that was left on the request, or "".
func (m *Mount) left(r *http.Request) string {
	if m.base != "" {
		if strings.HasPrefix(r.URL.Path+"/", m.base+"/") {
			return m.base
		}
		return ""
	}
	if !loopback(r) { // without an address it answers only loopback
		return ""
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if at := slices.IndexFunc(parts, func(part string) bool { return slices.Contains(m.endpoints, part) }); at > 0 && at < 8 {
		return "/" + strings.Join(parts[:at], "/")
	}
	return ""
}
