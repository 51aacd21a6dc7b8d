package caddymodule

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Mount notices that a service is mounted so that no request reaches it: by handle, which leaves the path on, where
// handle_path takes it off. Everything is answered 404 then, and nothing else in the configuration tells why.
type Mount struct {
	directive string
	base      string   // the path of its address; empty: it is not known, or there is none
	endpoints []string // the first parts of the paths that it answers
	logger    *slog.Logger
	told      sync.Once
}

// NewMount is for a directive at an address, which may be empty. The endpoints are the first parts of its paths.
func NewMount(directive, address string, logger *slog.Logger, endpoints ...string) *Mount {
	m := &Mount{directive: directive, endpoints: endpoints, logger: logger}
	if u, err := url.Parse(address); err == nil {
		m.base = strings.TrimSuffix(u.Path, "/")
	}
	return m
}

// Look says once in the log, with the fix, when a request came with the path of the service still on.
func (m *Mount) Look(r *http.Request) {
	if mountedAt(r) != "" {
		return
	}
	if left := m.left(r); left != "" {
		m.told.Do(func() {
			m.logger.Error(m.directive+" gets requests with the path that it is mounted at still on, so it answers all of them 404; mount it by handle_path, which takes the path off",
				"path", left, "instead", "handle_path "+left+"/* { "+m.directive+" … }")
		})
	}
}

// left is the path that was left on a request's; empty: none was.
func (m *Mount) left(r *http.Request) string {
	if m.base != "" {
		if strings.HasPrefix(r.URL.Path+"/", m.base+"/") {
			return m.base
		}
		return ""
	}
	if !loopback(r) { // without an address it answers nobody else
		return ""
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if at := slices.IndexFunc(parts, func(part string) bool { return slices.Contains(m.endpoints, part) }); at > 0 && at < 8 {
		return "/" + strings.Join(parts[:at], "/")
	}
	return ""
}
