package journey_test

import (
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A hostile or broken agent never gets a signature released; the person is told what happened, and whether
// trying again makes sense (SIG-2.14, SIG-2.15, SIG-5.1).
func TestHostileAgent(t *testing.T) {
	faults := []struct {
		name   string
		state  string // that the session is left in
		reason string
	}{
		// The agent lied, or the card is not acceptable: the session has failed.
		{"wrong_signature", "failed", "signature_invalid"},
		{"swapped", "failed", "signature_invalid"},
		{"missing_item", "failed", "agent_mismatch"},
		{"extra_item", "failed", "agent_mismatch"},
		{"duplicate_item", "failed", "agent_mismatch"},
		{"other_user", "failed", "certificate_user"},
		{"untrusted_chain", "failed", "certificate_untrusted"},
		{"expired_certificate", "failed", "certificate_expired"},
		{"revoked_certificate", "failed", "certificate_revoked"}, // by the list that the mock's CA publishes
		// The agent or the person can do better: the session waits to be tried again.
		{"no_card", "opened", "no_card"},
		{"wrong_pin", "opened", "wrong_pin"},
		{"cancelled", "opened", "cancelled"},
		{"garbage", "opened", "agent_garbage"},
		{"reset", "opened", "agent_unreachable"},
		{"truncated", "opened", "agent_garbage"},
	}
	var services []service
	for _, f := range faults {
		services = append(services, service{name: f.name, agent: "fault " + f.name})
	}
	w := newWorld(t, options{services: services})
	for _, f := range faults {
		for _, n := range []int{1, 3} {
			if f.name == "missing_item" && n == 1 {
				continue // an answer without any item is garbage, not a lie
			}
			t.Run(f.name, func(t *testing.T) {
				s := w.system(f.name)
				accepted := w.request(t, s, "RS256", "", gateway.Payloads("RS256", n)...)
				view := gateway.Visit(t, accepted.RedirectURI).SignToEnd()
				if view.State != f.state || view.ReasonCode() != f.reason {
					t.Errorf("left %q, reason %+v; want %q, %s", view.State, view.Reason, f.state, f.reason)
				}
				if view.Reason == nil || view.Reason.Title == "" || view.Reason.Text == "" || view.Reason.Retry != (f.state == "opened") {
					t.Errorf("the person is told %+v", view.Reason)
				}
				nothingReleased(t, s, accepted.Token, f.state)
			})
		}
	}
	t.Run("five tries are the end", func(t *testing.T) {
		s := w.system("wrong_pin")
		accepted := w.request(t, s, "RS256", "", gateway.Payloads("RS256", 1)...)
		browser := gateway.Visit(t, accepted.RedirectURI)
		view := browser.Open()
		for try := 1; try <= 5; try++ {
			if view.State != "opened" || view.Tries != try-1 || view.TriesLeft != 6-try {
				t.Fatalf("before try %d: %+v", try, view)
			}
			browser.Sign()
			view = browser.Await("the try to end", patience, func(v gateway.View) bool { return v.State != "signing" })
		}
		if view.State != "failed" || view.Reason == nil || view.Reason.Retry || !strings.Contains(view.Redirect, "error=") {
			t.Errorf("after five tries: %+v, %+v", view, view.Reason)
		}
		nothingReleased(t, s, accepted.Token, "failed")
	})
}

// An agent that falls silent holds nobody up for ever: the person can cancel at any time, and whatever was
// signed by then is not released.
func TestSilentAgentCanBeLeft(t *testing.T) {
	w := newWorld(t, options{services: []service{{name: "main", agent: "fault hang"}}})
	s := w.system("main")
	accepted := w.request(t, s, "RS256", "", gateway.Payloads("RS256", 4)...)
	browser := gateway.Visit(t, accepted.RedirectURI)
	browser.Open()
	browser.Sign()
	view := browser.Await("two items of four", patience, func(v gateway.View) bool { return v.Signed == 2 })
	if view.State != "signing" || strings.Count(view.Marks, "s") != 2 {
		t.Errorf("while the agent is silent: %+v", view)
	}
	mustRefuse(t, s.Response(t, accepted.Token), refusal{404, "", "Could not find the specified signature response"})
	if answer := browser.Cancel(); answer.Status/100 != 2 {
		t.Fatalf("cancel: %d %s", answer.Status, answer.Body)
	}
	if view := browser.View(); view.State != "cancelled" {
		t.Errorf("after cancelling: %+v", view)
	}
	nothingReleased(t, s, accepted.Token, "cancelled")
	if answer := browser.TrySign(); answer.Status/100 == 2 {
		if view := browser.View(); view.State != "cancelled" {
			t.Errorf("a cancelled request can be signed: %+v", view)
		}
	}
}

func nothingReleased(t *testing.T, s gateway.System, token, state string) {
	t.Helper()
	answer := s.Response(t, token)
	want := 410
	if state == "opened" {
		want = 404
	}
	mustRefuse(t, answer, refusal{status: want})
	if strings.Contains(string(answer.Body), `"signatures"`) || strings.Contains(string(answer.Body), `"certificate"`) {
		t.Errorf("something was released: %s", answer.Body)
	}
}
