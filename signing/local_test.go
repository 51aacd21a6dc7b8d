package signing

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

// newLocalWorld is a service whose people have their agent on their own machine, and the card of one of them.
func newLocalWorld(t *testing.T, change func(*Options)) (w *world, card []byte) {
	t.Helper()
	w, issuer := newLocalWorldOf(t, change)
	return w, issuer.issue(t, cardKey().Public(), nil)
}

// newLocalWorldOf is newLocalWorld with the issuer of its cards.
func newLocalWorldOf(t *testing.T, change func(*Options)) (w *world, issuer *authority) {
	t.Helper()
	issuer = newAuthority(t, "Level 1D")
	w = newWorld(t, func(o *Options) {
		o.Mock, o.Agents = nil, []Route{{Name: "credential management"}}
		o.Trust = Trust{Policy: certificates.Policy{Issuers: []*x509.Certificate{issuer.cert}}}
		if change != nil {
			change(o)
		}
	})
	return w, issuer
}

// signed are the signatures of a card over an order.
func signed(t testing.TB, of *order) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, p := range of.Payloads {
		all = append(all, map[string]any{"id": p.ID, "signature": signPayload(t, cardKey(), of.Algorithm, p.Payload)})
	}
	return all
}

func TestLocal(t *testing.T) {
	w, card := newLocalWorld(t, nil)
	b, ticket := w.opened(RS256, 3, "")
	if len(b.view.Ways) != 1 || !b.view.Ways[0].Local || b.view.Autostart || b.view.Order != nil {
		t.Fatalf("the page sees %+v", b.view)
	}
	mustBe(t, b.sign(), http.StatusAccepted)
	order := b.view.Order
	if order == nil || len(order.Payloads) != 3 || order.Algorithm != RS256 || order.Job == "" {
		t.Fatalf("the page gets the order %+v", order)
	}
	// Whoever takes their time keeps the lease.
	for range 5 {
		w.clock.advance(20 * time.Second)
		mustBe(t, b.call("/client/keep", map[string]any{"id": b.view.ID, "job": order.Job}), 200)
	}
	if b.view.State != StateSigning {
		t.Fatalf("it is %s", b.view.State)
	}
	mustBe(t, w.fetch(ticket.Token), 404)
	answer := map[string]any{"id": b.view.ID, "job": order.Job, "certificate": card, "signatures": signed(t, order)}
	mustBe(t, b.call("/client/answer", answer), 200)
	if b.view.State != StateSigned || b.view.RedirectURI == "" {
		t.Fatalf("it is %+v", b.view)
	}
	mustBe(t, w.fetch(ticket.Token), 200)
	mustBe(t, b.call("/client/answer", answer), 200) // once more changes nothing
	if b.view.State != StateSigned {
		t.Errorf("it is %s", b.view.State)
	}
}

// What the page brings is trusted no more than any agent's answer.
func TestLocalRefused(t *testing.T) {
	w, ours := newLocalWorldOf(t, nil)
	card := ours.issue(t, cardKey().Public(), nil)
	colleague := ours.issue(t, cardKey().Public(), func(c *x509.Certificate) { c.Subject.CommonName = "555086689107_COLLEAGUE" })
	stranger := newAuthority(t, "Level 1D").issue(t, cardKey().Public(), nil)
	for name, c := range map[string]struct {
		change func(answer map[string]any, signatures []map[string]any)
		state  State
		reason string
	}{
		"another issuer":    {func(a map[string]any, _ []map[string]any) { a["certificate"] = stranger }, StateFailed, reasonCertUntrusted},
		"no certificate":    {func(a map[string]any, _ []map[string]any) { a["certificate"] = nil }, StateFailed, reasonCertUnreadable},
		"one is missing":    {func(a map[string]any, s []map[string]any) { a["signatures"] = s[1:] }, StateFailed, smartcard.CodeMismatch},
		"one twice":         {func(_ map[string]any, s []map[string]any) { s[1] = s[0] }, StateFailed, smartcard.CodeMismatch},
		"one of others":     {func(_ map[string]any, s []map[string]any) { s[1]["id"] = "other" }, StateFailed, smartcard.CodeMismatch},
		"one is empty":      {func(_ map[string]any, s []map[string]any) { s[1]["signature"] = "" }, StateFailed, smartcard.CodeMismatch},
		"two are swapped":   {func(_ map[string]any, s []map[string]any) { s[0]["id"], s[1]["id"] = s[1]["id"], s[0]["id"] }, StateFailed, reasonSignature},
		"the PIN was wrong": {func(a map[string]any, _ []map[string]any) { a["failure"] = smartcard.CodeWrongPIN }, StateOpened, smartcard.CodeWrongPIN},
		"no card":           {func(a map[string]any, _ []map[string]any) { a["failure"] = smartcard.CodeNoCard }, StateOpened, smartcard.CodeNoCard},
		"the page closed":   {func(a map[string]any, _ []map[string]any) { a["failure"] = reasonClosed }, StateOpened, reasonClosed},
		"a colleague's":     {func(a map[string]any, _ []map[string]any) { a["certificate"] = colleague }, StateOpened, reasonCertUser},
		"of another run":    {func(a map[string]any, _ []map[string]any) { a["job"] = "11111111-1111-4111-8111-111111111111" }, StateSigning, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.clock.advance(time.Second) // so that it is another request
			b, ticket := w.opened(RS256, 2, "")
			mustBe(t, b.sign(), http.StatusAccepted)
			signatures := signed(t, b.view.Order)
			answer := map[string]any{"id": b.view.ID, "job": b.view.Order.Job, "certificate": card, "signatures": signatures}
			c.change(answer, signatures)
			mustBe(t, b.call("/client/answer", answer), 200)
			if b.view.State != c.state || (c.reason != "" && (b.view.Reason == nil || b.view.Reason.Code != c.reason)) {
				t.Errorf("it is %s, %+v; want %s", b.view.State, b.view.Reason, c.reason)
			}
			if c.state == StateOpened && (!b.view.Reason.Retry || b.view.Local) {
				t.Errorf("the page cannot try again: %+v", b.view)
			}
			if got := w.fetch(ticket.Token); got.Code == 200 {
				t.Error("signatures were released")
			}
		})
	}
	t.Run("a failure that nobody knows", func(t *testing.T) {
		w.clock.advance(time.Second)
		b, _ := w.opened(RS256, 1, "")
		mustBe(t, b.sign(), http.StatusAccepted)
		mustRefuse(t, b.call("/client/answer", map[string]any{"id": b.view.ID, "job": b.view.Order.Job, "failure": "nonsense"}), refused{400, "malformed", ""})
	})
	t.Run("another browser", func(t *testing.T) {
		w.clock.advance(time.Second)
		b, ticket := w.opened(RS256, 1, "")
		mustBe(t, b.sign(), http.StatusAccepted)
		other := visit(t, w.Service, ticket.RedirectURI)
		other.view.ID = b.view.ID
		for _, path := range []string{"/client/answer", "/client/keep"} {
			mustRefuse(t, other.call(path, map[string]any{"id": b.view.ID, "job": b.view.Order.Job, "failure": "no_card"}), refused{404, "not_found", ""})
		}
	})
}

// A page that was closed gives the session back when its lease runs out.
func TestLocalAbandoned(t *testing.T) {
	w, card := newLocalWorld(t, nil)
	b, _ := w.opened(RS256, 1, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	late := map[string]any{"id": b.view.ID, "job": b.view.Order.Job, "certificate": card, "signatures": signed(t, b.view.Order)}
	w.clock.advance(time.Minute)
	if seen := b.watch(); seen.State != StateOpened || seen.Reason.Code != reasonInterrupted {
		t.Fatalf("it is %s, %+v", seen.State, seen.Reason)
	}
	mustBe(t, b.call("/client/answer", late), 200)
	if b.view.State != StateOpened {
		t.Errorf("an answer that came too late makes it %s", b.view.State)
	}
}

// The ways stand in their order, and the page says which it takes.
func TestWays(t *testing.T) {
	agent := newFakeAgent(t)
	w, card := newLocalWorld(t, func(o *Options) {
		o.Agents = append(o.Agents, Route{Name: "elsewhere", Users: []string{"999*"}, Agent: agent}, Route{Name: "second", Agent: agent})
	})
	agent.card = card
	b, _ := w.opened(RS256, 1, "")
	if ways := b.view.Ways; len(ways) != 2 || !ways[0].Local || ways[1].Local {
		t.Fatalf("the ways are %+v", ways)
	}
	mustBe(t, b.call("/client/sign", map[string]any{"id": b.view.ID, "way": 1}), http.StatusAccepted)
	if b.view.Order != nil {
		t.Error("the page gets the order of a run that the service makes")
	}
	if seen := b.settled(); seen.State != StateSigned {
		t.Errorf("it is %s, %+v", seen.State, seen.Reason)
	}
}
