package signing

import (
	"net/http"
	"testing"
)

// What a person has looked at is told with the same prescription when it is sent again, to nobody else, and it is no
// condition for signing.
func TestLooked(t *testing.T) {
	of := &shelf{}
	w := newWorld(t, func(o *Options) { o.Displays = of })
	one := of.prepared(t, acme, "acute-one-item", "rx-1", nil)
	two := of.prepared(t, acme, "controlled-drug", "rx-2", nil)
	looked := func(b *browser) (all []bool) {
		for _, p := range displayed(t, b)["prescriptions"].([]any) {
			is, _ := p.(map[string]any)["looked"].(bool)
			all = append(all, is)
		}
		return all
	}
	b := w.asks(one, two)
	look := func(looked map[string]bool) int {
		return b.do(b.request("/client/looked?id="+b.view.ID, map[string]any{"id": b.view.ID, "looked": looked})).Code
	}
	if got := looked(b); got[0] || got[1] {
		t.Errorf("at first: %v", got)
	}
	if got := look(map[string]bool{"rx-1": true, "rx-2": true}); got != http.StatusNoContent {
		t.Fatalf("got %d, want 204", got)
	}
	if got := look(map[string]bool{"rx-1": false, "other": true}); got != http.StatusBadRequest {
		t.Errorf("an item of another request: got %d, want 400", got)
	}
	if got := look(map[string]bool{"rx-2": false}); got != http.StatusNoContent {
		t.Errorf("got %d, want 204", got)
	}
	w.clock.advance(1e9)
	one.ID = "another-id"
	again := w.asks(one, two)
	if got := looked(again); !got[0] || got[1] {
		t.Errorf("sent again: %v, want the first alone", got)
	}
	stranger := visit(t, w.Service, baseURL+"/client")
	mustRefuse(t, stranger.do(stranger.request("/client/looked?id="+b.view.ID, map[string]any{"id": b.view.ID, "looked": map[string]bool{"rx-2": true}})),
		refused{404, "not_found", ""})
}
