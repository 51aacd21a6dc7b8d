package signing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestSessions lists a client's sessions page by page, and each by its id, without token and person.
func TestSessions(t *testing.T) {
	w := newWorld(t, nil)
	ids := map[string]bool{}
	var token string
	for i := range 5 {
		claims := w.claimsFor(RS256, 2)
		claims["jti"] = i
		token = w.accept(sign(t, clientKey(), header(), claims), "").Token
		ids[sessionID(uuid.MustParse(token))] = true
	}
	var pages int
	var seen []Summary
	for after := ""; ; pages++ {
		found, more, err := w.Sessions(t.Context(), acme, after, 2)
		if err != nil || len(found) > 2 {
			t.Fatal(len(found), err)
		}
		seen = append(seen, found...)
		if after = more; more == "" {
			break
		}
	}
	if len(seen) != 5 || pages < 2 {
		t.Fatalf("%d sessions after %d pages", len(seen), pages)
	}
	for _, s := range seen {
		if !ids[s.ID] || s.State != StateCreated || s.Items != 2 || s.Client != acme || s.TriesLeft != 5 || s.Reason != nil {
			t.Errorf("summary %+v", s)
		}
		if told := fmt.Sprintf("%+v", s); strings.Contains(told, person) || strings.Contains(told, token) {
			t.Errorf("tells too much: %s", told)
		}
	}
	if found, more, err := w.Sessions(t.Context(), "nobody", "", 2); len(found) != 0 || more != "" || err != nil {
		t.Errorf("of nobody: %v %q %v", found, more, err)
	}

	w.clock.advance(31 * time.Minute)
	one, found, err := w.Session(t.Context(), seen[0].ID)
	if err != nil || !found || one.State != StateExpired || one.Reason == nil || one.Reason.Code != reasonExpired {
		t.Errorf("late: %+v %t %v", one, found, err)
	}
	for _, id := range []string{"", "none", strings.Repeat("a", 1000)} {
		if _, found, err := w.Session(t.Context(), id); found || err != nil {
			t.Errorf("session %.10q: %t %v", id, found, err)
		}
	}
	w.store.fail(func([]string) error { return away() }, nil)
	if _, _, err := w.Session(t.Context(), seen[0].ID); err == nil {
		t.Error("a store that is away has no error")
	}
}
