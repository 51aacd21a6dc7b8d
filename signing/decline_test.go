package signing

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
)

// A person who finds something wrong gives the request back unsigned. The client learns at its callback that it is so, and
// by webhook and with the 410 which items are meant, in the order of the request; the audit log has them.
func TestDecline(t *testing.T) {
	log := &auditor{}
	w := newOutboxWorld(t, func(o *Options) { o.Auditor = log })
	ticket := w.accept(w.jwt(RS256, 3), "?state=x")
	b := visit(t, w.Service, ticket.RedirectURI)
	mustBe(t, b.open(ticket.RedirectURI), http.StatusOK)
	ids := []string{b.view.Items[0].ID, b.view.Items[2].ID}
	decline := func(ids ...string) int {
		return b.call("/client/decline?id="+b.view.ID, map[string]any{"id": b.view.ID, "declined": ids}).Code
	}
	for name, bad := range map[string][]string{"none": nil, "a stranger": {"other"}, "one twice": {ids[0], ids[0]}, "one and a stranger": {ids[0], "other"}} {
		if got := decline(bad...); got != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", name, got)
		}
	}
	if got := decline(ids[1], ids[0]); got != http.StatusOK {
		t.Fatalf("got %d, want 200", got)
	}
	want := callback + "&token=" + ticket.Token + "&state=x&error=declined&error_description=declined&error_reason=declined"
	if b.view.State != StateCancelled || b.view.Reason.Code != client.ReasonDeclined || b.view.Declined != 2 || b.view.RedirectURI != want {
		t.Errorf("got %+v, want %s", b.view, want)
	}
	event := w.event(ticket)
	if event.Type != client.WebhookCancelled || event.Data.Reason.Code != client.ReasonDeclined || !slices.Equal(event.Data.Reason.IDs, ids) {
		t.Errorf("the webhook says %+v %+v", event, event.Data.Reason)
	}
	got := w.fetch(ticket.Token)
	var gone struct {
		Code   string
		Reason client.WebhookReason
	}
	if err := json.Unmarshal(got.Body.Bytes(), &gone); err != nil || got.Code != http.StatusGone || gone.Code != "cancelled" ||
		gone.Reason.Code != client.ReasonDeclined || !slices.Equal(gone.Reason.IDs, ids) {
		t.Errorf("fetched: %d %s", got.Code, got.Body)
	}
	record := log.records[len(log.records)-1]
	if record.Outcome != string(StateCancelled) || record.Reason != client.ReasonDeclined || len(record.Items) != 2 || record.Items[1].ID != ids[1] {
		t.Errorf("the audit log has %+v", record)
	}
	// It is over: a second call changes nothing.
	if got := decline(ids[0]); got != http.StatusOK || b.view.Declined != 2 {
		t.Errorf("a second time: got %d, %d declined", got, b.view.Declined)
	}
}

// Only the browser that holds a session gives it back, and only while its person is signed in.
func TestDeclineIsThePersons(t *testing.T) {
	w, p := newSignInWorld(t)
	b, ticket := w.asked(t)
	b.back(p.began[0].state, person)
	mustBe(t, b.open(ticket.RedirectURI), http.StatusOK)
	id := b.view.ID
	body := map[string]any{"id": id, "declined": []string{b.view.Items[0].ID}}
	other := visit(t, w.Service, ticket.RedirectURI)
	mustRefuse(t, other.call("/client/decline?id="+id, body), refused{404, "not_found", ""})
	p.out = true
	mustRefuse(t, b.call("/client/decline?id="+id, body), refused{403, "sign_in", ""})
	p.out = false
	mustBe(t, b.call("/client/decline?id="+id, body), http.StatusOK)
	if b.view.State != StateCancelled || b.view.Reason.Code != reasonDeclined {
		t.Errorf("got %s, %+v", b.view.State, b.view.Reason)
	}
}

// 250 ids of the greatest length, full of what JSON escapes, fit into the call, the session and the webhook.
func TestDeclineLongIDs(t *testing.T) {
	w := newOutboxWorld(t, nil)
	claims := w.claimsFor(RS256, MaxPayloads)
	all := payloads(RS256, MaxPayloads)
	ids := make([]string, len(all))
	for i := range all {
		all[i].ID = strings.Repeat("\x01", maxID-3) + string([]byte{byte('a' + i/26), byte('a' + i%26), 'x'})
		ids[i] = all[i].ID
	}
	claims["payloads"] = all
	ticket := w.accept(sign(t, clientKey(), header(), claims), "")
	b := visit(t, w.Service, ticket.RedirectURI)
	mustBe(t, b.open(ticket.RedirectURI), http.StatusOK)
	mustBe(t, b.call("/client/decline?id="+b.view.ID, map[string]any{"id": b.view.ID, "declined": ids}), http.StatusOK)
	if event := w.event(ticket); !slices.Equal(event.Data.Reason.IDs, ids) {
		t.Errorf("the webhook has %d ids", len(event.Data.Reason.IDs))
	}
}
