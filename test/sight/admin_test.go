package sight_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The admin endpoint says what it has in OpenAPI, and every answer of it is as described, which is seen to by package
// gateway.
func TestAdminIsAsDescribed(t *testing.T) {
	g, system, _ := start(t)
	at := func(path string) string { return g.URL("ADMIN", "/countersign"+path) }
	gateway.MustBeDescribed(t, at("/live"), "caddymodule/adminapi/openapi/openapi.json")
	journey(t, system)
	system.Post(t, "not.a.jwt", "") // refused as req-1
	cancelled := gateway.Visit(t, system.Request(t, "RS256", "", gateway.Payloads("RS256", 1)...).RedirectURI)
	cancelled.Open()
	cancelled.Cancel()
	system.Request(t, "RS256", "", gateway.Payloads("RS256", 2)...) // waits

	get := func(path string, want int) gateway.Answer {
		t.Helper()
		answer := gateway.Get(t, at(path), nil)
		if answer.Status != want {
			t.Errorf("GET %s: %d %s", path, answer.Status, answer.Body)
		}
		return answer
	}
	post := func(path string, want int) {
		t.Helper()
		if answer := gateway.Post(t, at(path)); answer.Status != want {
			t.Errorf("POST %s: %d %.300s", path, answer.Status, answer.Body)
		}
	}
	get("/ready", http.StatusOK)
	// The first attempt at the key set of the client away may still be under way.
	const problem = "The key set of client away was never read, so its requests are refused"
	var status struct{ Problems []struct{ What string } }
	if !gateway.Eventually(time.Minute, func() bool {
		get("/status", http.StatusOK).JSON(t, &status)
		return len(status.Problems) > 0
	}) || len(status.Problems) != 1 || status.Problems[0].What != problem {
		t.Errorf("the problems are %+v", status.Problems)
	}
	if said, err := gateway.Run(nil, gateway.Binary(t), "countersign", "status", "--address", "127.0.0.1:"+g.Port("ADMIN")); err == nil || !strings.Contains(string(said), problem) {
		t.Errorf("the command status says %s (%v)", said, err)
	}
	for client, want := range map[string]string{"acme": "can be used", "away": "could not be read", "nobody": "no client of that id"} {
		said, err := gateway.Run(nil, gateway.Binary(t), "countersign", "jwks", "refresh", client, "--address", "127.0.0.1:"+g.Port("ADMIN"))
		if (err == nil) != (client == "acme") || !strings.Contains(fmt.Sprint(string(said), err), want) {
			t.Errorf("jwks refresh %s says %s (%v), want %q", client, said, err, want)
		}
	}
	for _, list := range []string{"/sessions", "/deliveries", "/refusals"} {
		get(list+"?limit=1", http.StatusOK)
		get(list+"?limit=0", http.StatusBadRequest)
		get(list+"/nothing", http.StatusNotFound)
	}
	var sessions struct{ Sessions []struct{ ID, State string } }
	get("/sessions", http.StatusOK).JSON(t, &sessions)
	states := map[string]string{}
	for _, session := range sessions.Sessions {
		states[session.State] = session.ID
		get("/sessions/"+session.ID, http.StatusOK)
		get("/deliveries/"+session.ID, http.StatusOK)
	}
	if len(sessions.Sessions) != 3 || states["signed"] == "" || states["cancelled"] == "" || states["created"] == "" {
		t.Fatalf("the sessions are %+v", sessions)
	}
	get("/sessions?state=lost", http.StatusBadRequest)
	for _, state := range []string{"waiting", "pending", "delivered", "dead"} {
		get("/deliveries?client=acme&state="+state, http.StatusOK)
	}
	if !gateway.Eventually(patience, func() bool { // nobody is at the webhook's address
		var delivery struct{ Failures int }
		get("/deliveries/"+states["signed"], http.StatusOK).JSON(t, &delivery)
		return delivery.Failures > 0
	}) {
		t.Error("no failure of the webhook is told")
	}
	get("/refusals/req-1", http.StatusOK)
	post("/deliveries/"+states["signed"]+"/replay", http.StatusOK)
	post("/deliveries/"+states["created"]+"/replay", http.StatusConflict)
	post("/deliveries/nothing/replay", http.StatusNotFound)
	post("/deliveries/replay?client=acme", http.StatusOK)
	var log struct{ Node string }
	get("/audit", http.StatusOK).JSON(t, &log)
	post("/keysets/acme/refresh", http.StatusOK)
	post("/keysets/away/refresh", http.StatusOK)
	post("/keysets/nobody/refresh", http.StatusNotFound)
	post("/audit/nobody/retire", http.StatusNotFound)
	post("/audit/hold", http.StatusBadRequest)
	post("/audit/hold?reason=claim", http.StatusOK)
	get("/audit", http.StatusOK)
	post("/audit/release", http.StatusOK)
	post("/audit/handed?head=1&to=paper", http.StatusBadRequest)
	post("/audit/handed?to=paper&head=1:"+strings.Repeat("0", 64), http.StatusConflict)
	var last struct {
		Head struct {
			Number int
			Hash   string
		}
	}
	get("/audit", http.StatusOK).JSON(t, &last)
	post(fmt.Sprintf("/audit/handed?to=paper&head=%d:%s", last.Head.Number, last.Head.Hash), http.StatusOK)
	get("/audit", http.StatusOK)
	post("/audit/"+log.Node+"/retire", http.StatusConflict)
	post("/backup", http.StatusOK)
	post("/status", http.StatusMethodNotAllowed)
	get("/nothing", http.StatusNotFound)
}
