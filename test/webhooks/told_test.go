package webhooks_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The plain case: a session is signed, the client is told once, verifies that by itself, and fetches by the token.
func TestSignedIsToldOnce(t *testing.T) {
	w := newWorld(t, options{})
	accepted := w.request("e30%3D") // of which a callback is e30=
	if view := gateway.Visit(t, accepted.RedirectURI).SignToEnd(); view.State != "signed" {
		t.Fatalf("the session ended as %s", view.State)
	}
	told := w.verify(w.receiver.await(1)[0])
	if told.Type != "signing.completed" || told.Data.Status != "signed" || told.Data.Token != accepted.Token ||
		told.Data.State != "e30=" || told.Data.Client != "acme" || told.Data.Reason != nil || told.Data.Audit == nil {
		t.Fatalf("told %+v", told)
	}
	if signed := w.system().Fetch(t, told.Data.Token); len(signed.Signatures) != 2 {
		t.Errorf("%d signatures", len(signed.Signatures))
	}
	delivered := w.await("delivered", 1)
	if d := delivered[0]; d.ID != told.ID || d.Attempts != 1 || d.Last.Outcome != "delivered" || d.Last.Status != http.StatusNoContent {
		t.Errorf("%+v", d)
	}
	if got := w.metric(`countersign_webhook_attempt_seconds_count{client="acme",outcome="delivered"}`); got != "1" {
		t.Errorf("%q deliveries are counted", got)
	}
	if got := w.metric(`countersign_webhooks_dead{client="acme"}`); got != "0" {
		t.Errorf("%q dead letters are counted", got)
	}
	w.Stop()
	w.Restart()
	if again := len(w.receiver.got()); again != 1 {
		t.Errorf("told %d times", again)
	}
}

// What did not end well is told as well, each once.
func TestFailedCancelledExpiredAreTold(t *testing.T) {
	w := newWorld(t, options{agent: "fault other_user"})
	cancelled := w.request("")
	page := gateway.Visit(t, cancelled.RedirectURI)
	page.Open()
	if answer := page.Cancel(); answer.Status != http.StatusOK {
		t.Fatalf("cancelling is answered %d: %s", answer.Status, answer.Body)
	}
	failed := w.request("")
	if view := gateway.Visit(t, failed.RedirectURI).SignToEnd(); view.State != "failed" {
		t.Fatalf("the session ended as %s", view.State)
	}
	w.options.service = "sign_within 3s\n\t\t\tlease 1s" // only for the one that is to expire
	w.Reload(w.text(w.options))
	expired := w.request("")
	w.await("delivered", 3)
	for _, row := range []struct {
		of           gateway.Accepted
		kind, status string
	}{
		{cancelled, "signing.cancelled", "cancelled"}, {expired, "signing.expired", "expired"}, {failed, "signing.failed", "failed"},
	} {
		told := w.receiver.of(row.of.Token)
		if len(told) != 1 {
			t.Errorf("%s is told %d times", row.status, len(told))
			continue
		}
		if e := w.verify(told[0]); e.Type != row.kind || e.Data.Status != row.status || e.Data.Reason == nil || e.Data.Reason.Code == "" || e.Data.Reason.Text == "" {
			t.Errorf("told %+v", e)
		}
		if answer := w.system().Response(t, row.of.Token); answer.Status != http.StatusGone {
			t.Errorf("%s is answered %d to a fetch", row.status, answer.Status)
		}
	}
}

// A receiver that is away for long, and then slow, gets everything: each with one id.
func TestReceiverDownThenSlow(t *testing.T) {
	w := newWorld(t, options{})
	w.receiver.down()
	var tokens []string
	for range 5 {
		tokens = append(tokens, w.signed().Token)
	}
	if !gateway.Eventually(patience, func() bool {
		for _, d := range w.await("pending", 5) {
			if d.Attempts < 3 || d.Last.Outcome != "unreachable" || d.Last.Detail == "" {
				return false
			}
		}
		return true
	}) {
		t.Fatal("the failed attempts are not told")
	}
	slow := func(rw http.ResponseWriter, request *http.Request) {
		select {
		case <-time.After(time.Second):
		case <-request.Context().Done():
		}
		rw.WriteHeader(http.StatusOK)
	}
	w.receiver.answers(slow)
	w.receiver.up()
	w.await("delivered", 5)
	for _, token := range tokens {
		told := w.receiver.of(token)
		if len(told) == 0 {
			t.Fatal("a session was not told")
		}
		for _, a := range told {
			if e := w.verify(a); e.ID != told[0].event(t).ID {
				t.Errorf("told as %s and as %s", e.ID, told[0].event(t).ID)
			}
		}
	}
	if most := w.receiver.atOneTime(); most != 1 {
		t.Errorf("%d attempts of one webhook at one time", most)
	}
}
