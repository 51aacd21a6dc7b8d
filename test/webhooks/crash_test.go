package webhooks_test

import (
	"net/http"
	"strings"
	"testing"
)

// kill -9 while nobody could be told yet, and again while the receiver is being told: after a restart it is told, with
// the same id.
func TestKilledBetweenCommitAndDelivery(t *testing.T) {
	w := newWorld(t, options{})
	w.receiver.down()
	accepted := w.signed()
	w.Kill()
	w.receiver.answers(w.receiver.hold)
	w.receiver.up()
	w.Restart()
	first := w.verify(w.receiver.await(1)[0])
	w.Kill() // it has arrived, and nobody has answered
	w.receiver.answers(nil)
	w.receiver.release()
	w.Restart()
	again := w.verify(w.receiver.await(2)[1])
	if first.ID != again.ID || again.Data.Token != accepted.Token || again.Type != "signing.completed" {
		t.Errorf("told %+v, then %+v", first, again)
	}
	if d := w.await("delivered", 1)[0]; d.ID != first.ID {
		t.Errorf("%+v", d)
	}
	w.system().Fetch(t, again.Data.Token)
}

// A gateway that is stopped gives back what it could not deliver, and the next one goes on at once.
func TestStoppedWhileDelivering(t *testing.T) {
	w := newWorld(t, options{webhooks: "timeout 5m"}) // as a claim that is not given back, it would outlast our patience
	w.receiver.answers(w.receiver.hold)
	w.signed()
	w.receiver.await(1)
	w.Stop()
	w.receiver.answers(nil)
	w.receiver.release()
	w.Restart()
	told := w.receiver.await(2)
	if a, b := told[0].event(t), told[len(told)-1].event(t); a.ID != b.ID {
		t.Errorf("told as %s, then as %s", a.ID, b.ID)
	}
	w.await("delivered", 1)
}

// Reloads while a webhook is being delivered neither break it off nor deliver it twice.
func TestReloadWhileDelivering(t *testing.T) {
	w := newWorld(t, options{webhooks: "concurrency 2\n\t\t\ttimeout 5m"}) // an attempt that outlasts three reloads
	w.receiver.answers(w.receiver.hold)
	accepted := w.signed()
	w.receiver.await(1)
	for _, clockSkew := range []string{"50s", "51s", "52s"} {
		w.options.service = "clock_skew " + clockSkew
		w.Reload(w.text(w.options))
	}
	w.receiver.release()
	w.await("delivered", 1)
	if told := w.receiver.of(accepted.Token); len(told) != 1 {
		t.Errorf("%d attempts, %d at one time", len(told), w.receiver.atOneTime())
	}
	// The work goes on under the new configuration.
	w.receiver.answers(nil)
	next := w.signed()
	w.await("delivered", 2)
	if n := len(w.receiver.of(next.Token)); n != 1 {
		t.Errorf("told %d times after the reloads", n)
	}
	if strings.Contains(w.Output(), "webhook is a dead letter") {
		t.Error("a reload made a dead letter")
	}
}

// A client that moves gets what is queued at its new address; one without a webhook has it made a dead letter, that is
// told why, and can be replayed once it has one again.
func TestAddressOfThePresentConfiguration(t *testing.T) {
	w := newWorld(t, options{})
	w.receiver.answers(func(rw http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/moved" {
			rw.WriteHeader(http.StatusBadGateway)
		}
	})
	first := w.signed()
	w.receiver.await(1)
	w.Reload(w.text(options{client: "webhook " + w.receiver.url("/moved")}))
	w.await("delivered", 1)
	told := w.receiver.of(first.Token)
	if last := told[len(told)-1]; last.path != "/moved" || told[0].path != "/hook" {
		t.Errorf("told at %s, then at %s", told[0].path, last.path)
	}

	w.Reload(w.text(options{}))
	second := w.signed()
	w.Reload(w.text(options{client: "status approved"}))
	dead := w.await("dead", 1)[0]
	if !strings.Contains(dead.Why, "no webhook in the present configuration") {
		t.Errorf("%+v", dead)
	}
	w.Reload(w.text(options{client: "webhook " + w.receiver.url("/moved")}))
	var replayed struct{ Replayed int }
	w.command(&replayed, "replay", dead.ID)
	w.await("delivered", 2)
	if told := w.receiver.of(second.Token); replayed.Replayed != 1 || told[len(told)-1].path != "/moved" {
		t.Errorf("%+v, told %d times", replayed, len(told))
	}
}
