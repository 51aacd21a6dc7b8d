package command

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/signing"
)

// TestAdmin looks at a gateway through its admin endpoint, and through the commands that read it.
func TestAdmin(t *testing.T) {
	p := newPost(t)
	t.Run("ready", func(t *testing.T) {
		for _, path := range []string{"/countersign/live", "/countersign/ready"} {
			if status, body := p.ask(t, path, nil); status != http.StatusOK {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	})
	t.Run("status", func(t *testing.T) {
		var status struct {
			Environment string
			Version     signing.Version
			Store       struct {
				Identity string
				Open     bool
			}
			Clients []struct {
				ID, Status string
				KeySets    []jwks.SourceStatus
			}
			Services []signing.Health
		}
		p.ask(t, "/countersign/status", &status)
		if status.Environment != "int" || !status.Store.Open || status.Store.Identity != "memory" || status.Version.Version == "" {
			t.Errorf("%+v", status)
		}
		if len(status.Clients) != 2 || status.Clients[0].ID != "acme" || status.Clients[0].Status != "approved" ||
			len(status.Clients[0].KeySets) != 1 || status.Clients[0].KeySets[0].Keys[0].KID != "acme-1" || status.Clients[0].KeySets[0].Keys[0].Bits != 4096 {
			t.Errorf("clients %+v", status.Clients)
		}
		if gone := status.Clients[1]; gone.Status != "revoked" || len(gone.KeySets) != 0 {
			t.Errorf("a revoked client %+v", gone)
		}
		if len(status.Services) != 1 || status.Services[0].Status != "warn" || status.Services[0].Checks["agent:https://127.0.0.1:9"].Status != "warn" {
			t.Errorf("services %+v", status.Services)
		}
	})
	var tokens []string
	for i := range 3 {
		tokens = append(tokens, p.request(t, i+1).Token)
	}
	p.refuse(t, "why-1", "not a jwt")
	early, err := p.client.Fetch(t.Context(), tokens[0])
	if err == nil {
		t.Fatalf("signatures before anybody signed: %+v", early)
	}

	t.Run("sessions", func(t *testing.T) {
		seen := map[string]bool{}
		for next := ""; ; {
			var list adminapi.SessionList
			status, body := p.ask(t, "/countersign/sessions?state=created&limit=2&after="+next, &list)
			if status != http.StatusOK || len(list.Sessions) > 2 {
				t.Fatal(status, body)
			}
			for _, session := range list.Sessions {
				seen[session.ID] = true
			}
			mustHide(t, body, append(tokens, person)...)
			if next = list.Next; next == "" {
				break
			}
		}
		if len(seen) != 3 {
			t.Errorf("%d sessions, want 3", len(seen))
		}
		for path, want := range map[string]int{
			"/countersign/sessions?state=lost": 400, "/countersign/sessions?limit=0": 400, "/countersign/sessions?limit=x": 400,
			"/countersign/sessions?client=nobody": 200, "/countersign/sessions/none": 404, "/countersign/refusals/none": 404,
			"/countersign/refusals?limit=5000": 400, "/countersign/refusals": 200,
		} {
			if status, body := p.ask(t, path, nil); status != want {
				t.Errorf("%s: %d %s, want %d", path, status, body, want)
			}
		}
		t.Run("command", func(t *testing.T) {
			said := execute(t, sessionsCommand(), "--address", p.admin)
			if said.err != nil {
				t.Fatal(said.err)
			}
			mustSay(t, said.stdout, "SESSION", "acme", "created", "3 sessions")
			said = execute(t, sessionsCommand(), "--address", p.admin, "--json", "--limit", "1")
			var list adminapi.SessionList
			if said.json(t, &list); said.err != nil || len(list.Sessions) != 1 || list.Next == "" {
				t.Errorf("%v %+v", said.err, list)
			}
			said = execute(t, sessionsCommand(), "--address", p.admin, list.Sessions[0].ID)
			mustSay(t, said.stdout, list.Sessions[0].ID, "nobody has opened its signing page yet", "redirectUri", "before 20")
			mustHide(t, said.stdout, append(tokens, person)...)
			said = execute(t, sessionsCommand(), "--address", p.admin, "--state", "signed")
			mustSay(t, said.stdout, "no such sessions")
			for _, args := range [][]string{{"none"}, {"--state", "lost"}, {"--address", "127.0.0.1:9"}, {"--address", "::::"}} {
				if said := execute(t, sessionsCommand(), append([]string{"--address", p.admin}, args...)...); said.err == nil || said.stderr == "" {
					t.Errorf("%v: %+v", args, said)
				}
			}
		})
	})
	t.Run("refusals", func(t *testing.T) {
		var list adminapi.RefusalList
		status, body := p.ask(t, "/countersign/refusals/why-1", &list)
		if status != http.StatusOK || len(list.Refusals) != 1 || list.Refusals[0].Check != "form of the body" || list.Refusals[0].Status != 400 {
			t.Errorf("%d %s", status, body)
		}
		mustHide(t, body, "not a jwt")
		said := execute(t, whyCommand(), "--address", p.admin, "why-1")
		mustSay(t, said.stdout, "why-1", "/signaturerequest", "400 malformed", "form of the body", "What to do: The client must send the JWT alone")
		said = execute(t, whyCommand(), "--address", p.admin, "why-1", "--json")
		if said.json(t, &list); said.err != nil || list.Refusals[0].Code != "malformed" {
			t.Errorf("%v %+v", said.err, list)
		}
		said = execute(t, whyCommand(), "--address", p.admin, "why-2")
		if said.err == nil {
			t.Error("found what never was")
		}
		mustSay(t, said.stderr, "no request with this id is among the last 1000", "--log FILE")
	})
}

// TestAdminWithoutApp: nothing is ready while Countersign does not run.
func TestAdminWithoutApp(t *testing.T) {
	p := &post{admin: serveAdmin(t)}
	if status, _ := p.ask(t, "/countersign/live", nil); status != http.StatusOK {
		t.Errorf("live: %d", status)
	}
	for _, path := range []string{"ready", "status", "sessions", "sessions/a", "refusals", "refusals/a"} {
		if status, body := p.ask(t, "/countersign/"+path, nil); status != http.StatusServiceUnavailable || !strings.Contains(body, "not started") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
