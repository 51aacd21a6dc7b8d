package journey_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// After a restart, in order or by a crash, every session goes on from the state it was in, for the client
// system and in the same browser.
func TestRestartInEveryState(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*world)
	}{
		{"SIGTERM", func(w *world) { w.Stop() }},
		{"SIGKILL", func(w *world) { w.Kill() }},
	} {
		t.Run(c.name, func(t *testing.T) { restartInEveryState(t, c.end) })
	}
}

func restartInEveryState(t *testing.T, end func(*world)) {
	w := newWorld(t, options{services: []service{
		{name: "main"},
		{name: "hanging", agent: "fault hang", lines: "mock {agent}\n\t\t\tlease 12s"}, // which a busy machine keeps
		{name: "lying", agent: "fault wrong_signature"},
	}})
	payloads := gateway.Payloads("RS256", 4)
	main, hanging, lying := w.system("main"), w.system("hanging"), w.system("lying")
	visit := func(s gateway.System) (gateway.Accepted, *gateway.Browser) {
		accepted := w.request(t, s, "RS256", "a+b=", payloads...)
		return accepted, gateway.Visit(t, accepted.RedirectURI)
	}

	jwt := main.JWT(t, "RS256", payloads...)
	created := accept(t, main, jwt)
	opened, openedBrowser := visit(main)
	openedBrowser.Open()
	signing, signingBrowser := visit(hanging)
	signingBrowser.Open()
	signingBrowser.Sign()
	signingBrowser.Await("two items", patience, func(v gateway.View) bool { return v.Signed == 2 })
	signed, signedBrowser := visit(main)
	if view := signedBrowser.SignToEnd(); view.State != "signed" {
		t.Fatalf("before the restart: %+v, %+v", view, view.Reason)
	}
	before := main.Fetch(t, signed.Token)
	failed, failedBrowser := visit(lying)
	failedBrowser.SignToEnd()
	cancelled, cancelledBrowser := visit(main)
	cancelledBrowser.Open()
	cancelledBrowser.Cancel()

	end(w)
	w.RestartWith(w.caddyfile(options{services: []service{
		{name: "main"}, {name: "hanging"}, {name: "lying"}, // the agents have come to their senses
	}}))

	t.Run("created", func(t *testing.T) {
		mustRefuse(t, main.Response(t, created.Token), refusal{400, "", "Signature request has not been downloaded yet"})
		if again := accept(t, main, jwt); again != created {
			t.Errorf("the same JWT now gives %+v, and before %+v", again, created)
		}
		mustSign(t, gateway.Visit(t, created.RedirectURI), main, created, payloads)
	})
	t.Run("opened", func(t *testing.T) {
		mustRefuse(t, main.Response(t, opened.Token), refusal{404, "", "Could not find the specified signature response"})
		if answer := gateway.Visit(t, opened.RedirectURI).TryOpen(); answer.Status/100 != 4 {
			t.Errorf("another browser can open it after the restart: %d", answer.Status)
		}
		mustSign(t, openedBrowser, main, opened, payloads)
	})
	t.Run("signing", func(t *testing.T) {
		view := signingBrowser.Await("the lease to run out", patience, func(v gateway.View) bool { return v.State == "opened" })
		if view.Reason == nil || !view.Reason.Retry || view.Signed != 0 {
			t.Errorf("the page is told %+v, %+v", view, view.Reason)
		}
		mustSign(t, signingBrowser, hanging, signing, payloads)
	})
	t.Run("signed", func(t *testing.T) {
		if after := main.Fetch(t, signed.Token); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Error("the signatures are others now")
		}
		if view := signedBrowser.View(); view.State != "signed" || !strings.HasSuffix(view.Redirect, "&state=a+b=") {
			t.Errorf("the page is told %+v", view)
		}
	})
	t.Run("failed", func(t *testing.T) {
		nothingReleased(t, lying, failed.Token, "failed")
		if view := failedBrowser.View(); view.State != "failed" || view.ReasonCode() != "signature_invalid" {
			t.Errorf("the page is told %+v, %+v", view, view.Reason)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		nothingReleased(t, main, cancelled.Token, "cancelled")
		if view := cancelledBrowser.View(); view.State != "cancelled" {
			t.Errorf("the page is told %+v", view)
		}
	})
}

func accept(t *testing.T, s gateway.System, jwt string) gateway.Accepted {
	t.Helper()
	answer := s.Post(t, jwt, "")
	if answer.Status != 200 {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	var a gateway.Accepted
	answer.JSON(t, &a)
	return a
}

func mustSign(t *testing.T, b *gateway.Browser, s gateway.System, accepted gateway.Accepted, payloads []gateway.Payload) {
	t.Helper()
	b.Load()
	if view := b.SignToEnd(); view.State != "signed" {
		t.Fatalf("ended %q: %+v", view.State, view.Reason)
	}
	s.Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
}

// A reload replaces the configuration while sessions go on; a configuration that is refused leaves everything
// as it was.
func TestReload(t *testing.T) {
	w := newWorld(t, options{services: []service{{name: "main", agent: "fault slow 400ms"}}})
	s := w.system("main")
	payloads := gateway.Payloads("RS256", 5)
	accepted := w.request(t, s, "RS256", "", payloads...)
	browser := gateway.Visit(t, accepted.RedirectURI)
	browser.Open()
	browser.Sign()
	browser.Await("the first item", patience, func(v gateway.View) bool { return v.Signed > 0 })
	w.Reload(strings.Replace(w.caddyfile(w.options), "Acme EPR", "Acme Records", 1))
	if err := w.TryReload(strings.Replace(w.caddyfile(w.options), "environment int", "environment nowhere", 1)); err == nil {
		t.Error("an unknown environment is taken")
	}
	view := browser.Await("what becomes of it", patience, func(v gateway.View) bool { return v.State != "signing" })
	if view.State == "opened" { // a reload may interrupt the agent, but then says so and lets the person go on
		if view.Reason == nil || !view.Reason.Retry {
			t.Fatalf("interrupted without a word: %+v", view)
		}
		browser.Sign()
		view = browser.Await("the end", patience, gateway.View.Over)
	}
	if view.State != "signed" {
		t.Fatalf("ended %+v, %+v", view, view.Reason)
	}
	if view.Client != "Acme Records" {
		t.Errorf("after the reload the page names %q", view.Client)
	}
	s.Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
}
