package webhooks_test

import (
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A redirect is a failure, wherever it leads; what it leads to never sees the event.
func TestRedirectIsNotFollowed(t *testing.T) {
	w := newWorld(t, options{})
	other := newReceiver(t)
	statuses := []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}
	var tried atomic.Int64
	w.receiver.answers(func(rw http.ResponseWriter, request *http.Request) {
		http.Redirect(rw, request, other.url("/elsewhere"), statuses[int(tried.Add(1)-1)%len(statuses)])
	})
	w.signed()
	w.receiver.await(len(statuses))
	if pending := w.await("pending", 1)[0]; pending.Last.Outcome != "redirect" || pending.Last.Status/100 != 3 {
		t.Errorf("%+v", pending)
	}
	if n := len(other.got()); n != 0 {
		t.Errorf("followed %d times", n)
	}
}

// A name that leads to this machine or a private network is refused when it is dialled; the configuration could not
// know.
func TestPrivateAddressIsRefused(t *testing.T) {
	name := privateName(t)
	w := newWorld(t, options{client: "webhook https://" + name + "/hook"})
	w.signed()
	var pending report
	if !gateway.Eventually(patience, func() bool {
		pending = w.await("pending", 1)[0]
		return pending.Attempts >= 1
	}) {
		t.Fatal("nothing was attempted")
	}
	if pending.Last.Outcome != "refused" || !strings.Contains(pending.Last.Detail, "allow_networks") {
		t.Errorf("%+v", pending)
	}
}

// privateName is a name, not localhost itself, that this machine resolves to an address that is not public.
func privateName(t *testing.T) string {
	t.Helper()
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ip6-localhost", "ip6-loopback", own} {
		found, err := net.LookupIP(name)
		if err == nil && len(found) > 0 && !strings.HasPrefix(name, "localhost") {
			private := true
			for _, ip := range found {
				private = private && (ip.IsLoopback() || ip.IsPrivate())
			}
			if private {
				return name
			}
		}
	}
	t.Fatal("no name of this machine leads to a private address: it needs ip6-localhost in /etc/hosts")
	return ""
}

// An answer without an end does not keep the gateway busy: its status is all that counts.
func TestOversizedAnswer(t *testing.T) {
	w := newWorld(t, options{})
	var sent atomic.Int64
	w.receiver.answers(func(rw http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 64<<10)
		for {
			n, err := rw.Write(chunk)
			if sent.Add(int64(n)); err != nil || sent.Load() > 1<<30 {
				return
			}
		}
	})
	w.signed()
	if d := w.await("delivered", 1)[0]; d.Attempts != 1 {
		t.Errorf("%+v", d)
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes of an answer were taken", n)
	}
}

// A receiver that is given up, or that says 410, makes dead letters. They are told in words and replayed by command.
func TestDeadLettersAndReplay(t *testing.T) {
	w := newWorld(t, options{webhooks: "give_up 10s\n\t\t\t" + answerWithin})
	w.receiver.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	givenUp := w.signed()
	dead := w.await("dead", 1)[0]
	if dead.Why != "given up after 10s" || dead.Attempts < 3 || dead.Last.Status != http.StatusServiceUnavailable || dead.Type != "signing.completed" {
		t.Errorf("%+v", dead)
	}
	w.receiver.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) })
	gone := w.signed()
	w.await("dead", 2)
	if told := w.receiver.of(gone.Token); len(told) != 1 {
		t.Errorf("a receiver that said 410 was told %d times", len(told))
	}

	said, err := w.tryCommand("show", dead.ID)
	if err != nil || !strings.Contains(string(said), "given up after 10s") || !strings.Contains(string(said), "replay "+dead.ID) ||
		!strings.Contains(string(said), "503") {
		t.Errorf("show: %v\n%s", err, said)
	}
	said, err = w.tryCommand("list")
	if err != nil || !strings.Contains(string(said), "signing.completed") || strings.Contains(string(said), givenUp.Token) {
		t.Errorf("list: %v\n%s", err, said)
	}
	for _, wrong := range [][]string{
		{"show", "0123"}, {"replay", "0123"}, {"replay"}, {"replay", dead.ID, "--all-dead"}, {"list", "--state", "lost"}, {"replay", dead.ID, "--client", "acme"},
	} {
		if said, err := w.tryCommand(wrong...); err == nil {
			t.Errorf("%v succeeds: %s", wrong, said)
		}
	}

	w.receiver.answers(nil)
	var replayed struct{ Replayed int }
	if w.command(&replayed, "replay", "--all-dead", "--client", "acme"); replayed.Replayed != 2 {
		t.Errorf("%+v", replayed)
	}
	w.await("delivered", 2)
	for _, accepted := range []gateway.Accepted{givenUp, gone} {
		told := w.receiver.of(accepted.Token)
		if first, last := told[0].event(t), told[len(told)-1].event(t); first.ID != last.ID {
			t.Errorf("replayed as %s instead of %s", last.ID, first.ID)
		}
	}
	// One that was delivered can be told again too.
	before := len(w.receiver.got())
	w.command(&replayed, "replay", dead.ID)
	w.receiver.await(before + 1)
}
