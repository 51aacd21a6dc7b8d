package oauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/description"
)

// healthTimeout bounds each check of /_status.
const healthTimeout = 5 * time.Second

// ping says which build answers (SIG-6.1), and where the service is described.
func (s *Service) ping(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Link", description.Link)
	writeJSON(w, http.StatusOK, s.Version)
	return nil
}

// health is the answer of /_status.
type health struct {
	Version
	Status string                 `json:"status"` // pass, warn or fail
	Checks map[string]healthCheck `json:"checks"` // by name: store, audit, and those of the providers
}

type healthCheck struct {
	Status       string `json:"status"`
	Timeout      string `json:"timeout"` // "true" when the check took too long
	ResponseCode int    `json:"responseCode"`
	Outcome      string `json:"outcome"`
	Links        struct {
		Self string `json:"self"`
	} `json:"links"`
}

// status tells whoever holds the operator's key whether tokens can be kept, and people sign in.
func (s *Service) status(w http.ResponseWriter, r *http.Request) error {
	if !sameSecret(r.Header.Get("apikey"), s.StatusKey) {
		w.Header().Set("WWW-Authenticate", `apikey realm="status"`)
		return &Error{
			Status: http.StatusUnauthorized, Code: "Access Denied", Description: "Invalid api key for _status monitoring endpoint", bare: true,
			detail: "it wants the operator's status_key in the header apikey",
		}
	}
	writeJSON(w, http.StatusOK, health{Version: s.Version, Checks: map[string]healthCheck{}}.examined(r.Context(), s))
	return nil
}

// probe asks how one of the things that tokens need is: where it was asked, and with what status it answered, if over
// HTTP.
type probe func(context.Context) (address string, status int, err error)

// examined makes all checks, at the same time. With everything reached the service passes, with nothing it fails, and
// in between it warns (TOK-8.14); without its store, or an audit log that it needs, there are no tokens at all.
func (h health) examined(ctx context.Context, s *Service) health {
	probes := map[string]probe{"store": func(ctx context.Context) (string, int, error) {
		_, err := s.Store.Get(ctx, "token/health")
		return "", 0, err
	}}
	if s.Auditor != nil && !s.AuditOptional { // without a record there is no token
		probes["audit"] = func(context.Context) (string, int, error) { return "", 0, s.Auditor.Err() }
	}
	for _, provider := range s.Providers {
		probes[provider.Name()] = provider.Reach
	}
	var asking sync.WaitGroup
	var mu sync.Mutex // guards h.Checks
	for name, ask := range probes {
		asking.Go(func() {
			done := examine(ctx, ask)
			mu.Lock()
			defer mu.Unlock()
			h.Checks[name] = done
		})
	}
	asking.Wait()
	reached := 0
	for _, check := range h.Checks {
		if check.Status == statusPass {
			reached++
		}
	}
	switch {
	case reached == len(h.Checks):
		h.Status = statusPass
	case h.Checks["store"].Status == statusFail, h.Checks["audit"].Status == statusFail:
		h.Status = statusFail
	default: // the store is reached
		h.Status = "warn"
	}
	return h
}

const (
	statusPass = "pass"
	statusFail = "fail"
)

// examine makes one check, within its time.
func examine(ctx context.Context, ask probe) healthCheck {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	address, status, err := ask(ctx)
	done := healthCheck{Status: statusPass, ResponseCode: cmp.Or(status, http.StatusOK), Outcome: "OK"}
	if err != nil {
		done.Status, done.ResponseCode, done.Outcome = statusFail, cmp.Or(status, http.StatusServiceUnavailable), "unavailable"
	}
	done.Timeout = strconv.FormatBool(errors.Is(ctx.Err(), context.DeadlineExceeded))
	done.Links.Self = address
	return done
}

// sameSecret compares in constant time, also in the lengths. An empty secret is never right.
func sameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
