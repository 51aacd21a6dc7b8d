package journey_test

import (
	"net/http"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// Health (SIG-6).
func TestHealth(t *testing.T) {
	const key = "an operator's key"
	w := newWorld(t, options{services: []service{{name: "main", lines: "mock {agent}\n\t\t\tstatus_key \"" + key + "\""}}})
	address := w.URL("GATEWAY", "/main")

	var ping map[string]any
	answer := get(t, address+"/_ping")
	answer.JSON(t, &ping)
	for _, name := range []string{"version", "revision", "releaseId", "commitId"} {
		if _, there := ping[name]; !there || answer.Status != http.StatusOK {
			t.Errorf("_ping: %d without %s: %s", answer.Status, name, answer.Body)
		}
	}
	for name, header := range map[string]http.Header{"no key": nil, "another key": {"Apikey": {key + "x"}}} {
		if answer := gateway.Get(t, address+"/_status", header); answer.Status != http.StatusUnauthorized {
			t.Errorf("_status with %s: %d", name, answer.Status)
		}
	}
	type state struct {
		Version string
		Status  string
		Checks  map[string]struct {
			Status       string
			ResponseCode int
			Outcome      string
			Links        struct{ Self string }
		}
	}
	var status state
	// It tells how things are just now, and on a busy machine an agent may take longer than a check waits.
	gateway.Eventually(patience, func() bool {
		status = state{}
		answer = gateway.Get(t, address+"/_status", http.Header{"Apikey": {key}})
		answer.JSON(t, &status)
		return status.Status == "pass"
	})
	if answer.Status != http.StatusOK || status.Status != "pass" || len(status.Checks) < 2 {
		t.Errorf("_status: %d %s", answer.Status, answer.Body)
	}
	for name, check := range status.Checks {
		if check.Status != "pass" {
			t.Errorf("check %s: %+v", name, check)
		}
	}
	w.MustNotLog(key)
}
