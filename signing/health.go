package signing

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"time"
)

// healthTimeout bounds each check of /_status.
const healthTimeout = 5 * time.Second

// ping says which build answers (contract: signing-service §6).
func (s *Service) ping(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.Version)
	return nil
}

// statusBody is the answer of /_status.
type statusBody struct {
	Version
	Status string           `json:"status"` // pass, warn or fail
	Checks map[string]check `json:"checks"`
}

type check struct {
	Status       string `json:"status"`
	Timeout      string `json:"timeout"` // "true" when the check took too long
	ResponseCode int    `json:"responseCode"`
	Outcome      string `json:"outcome"`
	Links        struct {
		Self string `json:"self"`
	} `json:"links"`
}

// status tells whoever holds the operator's key how the store and the agents are: fail without the store, warn
// without an agent.
func (s *Service) status(w http.ResponseWriter, r *http.Request) error {
	if !sameSecret(r.Header.Get("apikey"), s.StatusKey) {
		w.Header().Set("WWW-Authenticate", `apikey realm="status"`)
		return failure(http.StatusUnauthorized, "apikey", "Send the operator's status key in the header apikey")
	}
	body := statusBody{Version: s.Version, Status: "pass", Checks: map[string]check{}}
	note := func(name, self string, failed string, ask func(context.Context) error) {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		done := check{Status: "pass", ResponseCode: http.StatusOK, Outcome: "OK"}
		if err := ask(ctx); err != nil {
			done.Status, done.ResponseCode, done.Outcome = failed, http.StatusServiceUnavailable, asRefusal(err).code
			if body.Status != "fail" {
				body.Status = failed
			}
		}
		done.Timeout = strconv.FormatBool(ctx.Err() != nil)
		done.Links.Self = self
		body.Checks[name] = done
	}
	note("store", "", "fail", func(ctx context.Context) error {
		_, err := s.Store.Get(ctx, sessionKey("health"))
		return err
	})
	routes := s.Agents
	if s.Mock != nil {
		routes = append([]Route{*s.Mock}, routes...)
	}
	for _, route := range routes {
		note("agent:"+route.Name, route.Name, "warn", func(ctx context.Context) error {
			_, err := route.Agent.Health(ctx)
			return err
		})
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// sameSecret compares in constant time, also in the lengths. An empty secret is never right.
func sameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
