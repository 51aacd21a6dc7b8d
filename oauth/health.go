package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
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
	Status string                 `json:"status"` // pass or fail
	Checks map[string]healthCheck `json:"checks"`
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

// status tells whoever holds the operator's key whether tokens can be kept.
func (s *Service) status(w http.ResponseWriter, r *http.Request) error {
	if !sameSecret(r.Header.Get("apikey"), s.StatusKey) {
		w.Header().Set("WWW-Authenticate", `apikey realm="status"`)
		return &Error{Status: http.StatusUnauthorized, Code: codeInvalidRequest, Description: "Send the operator's status key in the header apikey"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	_, err := s.Store.Get(ctx, "token/health")
	kept := checked(err)
	kept.Timeout = strconv.FormatBool(ctx.Err() != nil)
	all := health{Version: s.Version, Status: kept.Status, Checks: map[string]healthCheck{"store": kept}}
	if s.Auditor != nil && !s.AuditOptional { // without a record there is no token
		recorded := checked(s.Auditor.Err())
		all.Checks["audit"] = recorded
		if recorded.Status == "fail" {
			all.Status = "fail"
		}
	}
	writeJSON(w, http.StatusOK, all)
	return nil
}

func checked(err error) healthCheck {
	if err != nil {
		return healthCheck{Status: "fail", Timeout: "false", ResponseCode: http.StatusServiceUnavailable, Outcome: "unavailable"}
	}
	return healthCheck{Status: "pass", Timeout: "false", ResponseCode: http.StatusOK, Outcome: "OK"}
}

// sameSecret compares in constant time, also in the lengths. An empty secret is never right.
func sameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
