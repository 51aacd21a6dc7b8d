package cluster_test

import (
	"net/http"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// While the database is away every node says so, in a way that a client system sends again; when it is back, after an
// orderly restart or a crash, nothing is lost and the nodes go on by themselves.
func TestDatabaseRestarted(t *testing.T) {
	c := newCluster(t, options{})
	payloads := gateway.Payloads("RS256", 2)
	for _, outage := range []struct {
		name string
		end  func()
	}{
		{"restart", c.database.Stop},
		{"crash", c.database.Kill},
	} {
		t.Run(outage.name, func(t *testing.T) {
			accepted := c.request(t, 0, payloads...)
			browser := c.visit(t, 1, accepted)
			browser.Open()
			jwt := c.jwt(t, payloads...)

			outage.end()
			for node := range c.nodes {
				answer := c.system(node).Post(t, jwt, "")
				if answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || answer.Failure(t).Code != "unavailable" {
					t.Errorf("node %d answers %d, Retry-After %q: %s", node, answer.Status, answer.Header.Get("Retry-After"), answer.Body)
				}
			}
			c.database.Resume()

			first := c.insist(t, 0, jwt)
			if second := c.insist(t, 1, jwt); second != first {
				t.Errorf("sent again it was answered %+v and %+v", first, second)
			}
			browser.Sign()
			if v := browser.Await("the end", patience, gateway.View.Over); v.State != "signed" {
				t.Fatalf("ended %+v, %+v", v, v.Reason)
			}
			c.system(0).Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
		})
	}
}
