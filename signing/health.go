package signing

import (
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

// statusBody is the answer of /_status.
type statusBody struct {
	Version
	Health
}

// Health is how the things that a Service needs are.
type Health struct {
	Status string           `json:"status"` // pass, warn or fail
	Checks map[string]Check `json:"checks"` // by name: store, audit, revocation, and agent: with its address
}

// Check is how one of them is.
type Check struct {
	Status       string `json:"status"`
	Timeout      string `json:"timeout"` // "true" when the check took too long
	ResponseCode int    `json:"responseCode"`
	Outcome      string `json:"outcome"`
	Links        struct {
		Self string `json:"self"`
	} `json:"links"`
}

// status tells whoever holds the operator's key how the service is.
func (s *Service) status(w http.ResponseWriter, r *http.Request) error {
	if !sameSecret(r.Header.Get("apikey"), s.StatusKey) {
		w.Header().Set("WWW-Authenticate", `apikey realm="status"`)
		return failure(http.StatusUnauthorized, "apikey", "Send the operator's status key in the header apikey")
	}
	writeJSON(w, http.StatusOK, statusBody{Version: s.Version, Health: s.Health(r.Context())})
	return nil
}

// Health asks the store, the audit log and every agent how they are, all at the same time: fail without the store, or
// without the audit log where a record is mandatory, warn without an agent.
func (s *Service) Health(ctx context.Context) Health {
	found := Health{Status: "pass", Checks: map[string]Check{}}
	var asking sync.WaitGroup
	var mu sync.Mutex // guards found
	note := func(name, self, failed string, ask func(context.Context) (outcome string)) {
		asking.Go(func() {
			done := examine(ctx, self, failed, ask)
			mu.Lock()
			defer mu.Unlock()
			found.Checks[name] = done
			if done.Status == "fail" || (done.Status == "warn" && found.Status == "pass") {
				found.Status = done.Status
			}
		})
	}
	if s.Store != nil { // a sandbox has none
		note("store", "", "fail", s.storeOutcome)
	}
	if s.Auditor != nil {
		failed := "fail"
		if s.AuditOptional {
			failed = "warn"
		}
		note("audit", "", failed, s.auditOutcome)
	}
	if s.Trust.Revocations != nil {
		note("revocation", "", "warn", s.revocationOutcome)
	}
	routes := s.Agents
	if s.Mock != nil {
		routes = append([]Route{*s.Mock}, routes...)
	}
	for _, route := range routes {
		if route.local() {
			continue // of each person's machine nothing is known here
		}
		note("agent:"+route.Name, route.Name, "warn", route.outcome)
	}
	asking.Wait()
	return found
}

// outcomeOK is what a check finds where nothing is wrong.
const outcomeOK = "OK"

// examine makes one check, within its time.
func examine(ctx context.Context, self, failed string, ask func(context.Context) string) Check {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	done := Check{Status: "pass", ResponseCode: http.StatusOK, Outcome: ask(ctx)}
	if done.Outcome != outcomeOK {
		done.Status, done.ResponseCode = failed, http.StatusServiceUnavailable
	}
	done.Timeout = strconv.FormatBool(errors.Is(ctx.Err(), context.DeadlineExceeded))
	done.Links.Self = self
	return done
}

func (s *Service) storeOutcome(ctx context.Context) string {
	if _, err := s.Store.Get(ctx, sessionKey("health")); err != nil {
		return "unavailable"
	}
	return outcomeOK
}

func (s *Service) auditOutcome(context.Context) string {
	if s.Auditor.Err() != nil {
		return "unavailable"
	}
	return outcomeOK
}

// revocationOutcome tells whether every revocation list that was asked for is there and holds.
func (s *Service) revocationOutcome(context.Context) string {
	for _, list := range s.Trust.Revocations.Lists() {
		if !list.Current {
			return "list_not_current"
		}
	}
	return outcomeOK
}

// outcome tells how a route's agent is. An agent that answers but could not sign now is not well either.
func (r Route) outcome(ctx context.Context) string {
	health, err := r.Agent.Health(ctx)
	switch {
	case err != nil:
		return asRefusal(err).code
	case !health.Ready:
		return "not_ready"
	}
	return outcomeOK
}

// sameSecret compares in constant time, also in the lengths. An empty secret is never right.
func sameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
