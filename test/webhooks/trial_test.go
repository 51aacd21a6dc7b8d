package webhooks_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// trial is what the command tells of a webhook that it had sent.
type trial struct {
	ID, Type string
	Forged   bool
	Attempt  struct {
		Outcome string
		Status  int
	}
	KeySets []string
}

// TestTrial has the gateway send events of each type to a developer's receiver: signed as the real ones are, or forged.
func TestTrial(t *testing.T) {
	w := newWorld(t, options{})
	send := func(args ...string) (trial, error) {
		args = append([]string{"countersign", "webhook", "send", w.receiver.url("/mine"), "--address", "localhost:" + w.Port("ADMIN"), "--json"}, args...)
		out, err := gateway.Run(nil, gateway.Binary(t), args...)
		var told trial
		if jsonErr := json.Unmarshal(out, &told); jsonErr != nil {
			t.Fatalf("%v said %s: %v", args, out, jsonErr)
		}
		return told, err
	}
	for i, want := range []struct{ event, status string }{
		{"signing.completed", "signed"}, {"signing.failed", "failed"}, {"signing.cancelled", "cancelled"}, {"signing.expired", "expired"},
	} {
		told, err := send("--type", want.event, "--client", "my-epr")
		if err != nil || told.Attempt.Outcome != "delivered" || told.Attempt.Status != 204 || told.Forged {
			t.Errorf("%s: got %+v, %v, want it delivered", want.event, told, err)
		}
		if len(told.KeySets) != 1 || told.KeySets[0] != w.URL("GATEWAY", "/signing/jwks.json") {
			t.Errorf("got the key sets %q, want that of the service", told.KeySets)
		}
		got := w.receiver.await(i + 1)[i]
		e := w.verify(got)
		if got.path != "/mine" || e.ID != told.ID || e.Type != want.event || e.Data.Status != want.status || e.Data.Client != "my-epr" ||
			(e.Data.Reason != nil) != (want.status != "signed") {
			t.Errorf("%s: got %+v at %s", want.event, e, got.path)
		}
		if answer := w.system().Response(t, e.Data.Token); answer.Status != http.StatusNotFound {
			t.Errorf("the event's token: got %d, want 404", answer.Status)
		}
	}

	if told, err := send("--forged"); err == nil || told.Attempt.Outcome != "delivered" {
		t.Errorf("a receiver that takes a forged webhook: got %+v, %v, want a failure", told, err)
	}
	if err := w.holds(w.receiver.await(5)[4]); err == nil {
		t.Error("got a signature that holds on a forged webhook")
	}
	w.receiver.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadRequest) })
	if told, err := send("--forged"); err != nil || told.Attempt.Status != 400 {
		t.Errorf("a receiver that refuses a forged webhook: got %+v, %v", told, err)
	}
	if told, err := send(); err == nil || told.Attempt.Outcome != "rejected" {
		t.Errorf("a receiver that refuses a good webhook: got %+v, %v, want a failure", told, err)
	}
	for why, args := range map[string][]string{
		"unknown type":        {w.receiver.url("/mine"), "--type", "signing.done"},
		"not an absolute URL": {"mine"},
	} {
		args = append([]string{"countersign", "webhook", "send"}, append(args, "--address", "localhost:"+w.Port("ADMIN"))...)
		if out, err := gateway.Run(nil, gateway.Binary(t), args...); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v: got %s, %v, want %q", args, out, err, why)
		}
	}
}
