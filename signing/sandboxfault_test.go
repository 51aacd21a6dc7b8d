package signing

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Each fault by name, chosen by a request's header: the page shows what it would, and the response fits.
func TestSandboxFaults(t *testing.T) {
	s := newTestSandbox(t, nil)
	clock := &clock{now: s.service.Now()}
	s.service.Now = clock.Now
	w := &world{TB: t, clock: clock}
	post := func(fault string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/signaturerequest?state=a+b=", strings.NewReader(sign(t, strangerKey(), header(), w.claimsFor(RS256, 1))))
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("x-fault", fault)
		return answer(s, r)
	}
	names, tokens := SandboxFaults()
	if len(names) != 17 || tokens[0] != "00000000-0000-4000-8000-000000000101" {
		t.Errorf("%d faults, from %s", len(names), tokens[0])
	}
	for i, played := range sandboxFaults {
		t.Run(played.fault, func(t *testing.T) {
			ticket := read[accepted](t, post(played.fault))
			if ticket.Token != tokens[i] || !strings.HasSuffix(ticket.RedirectURI, "?token="+tokens[i]+"&state=a+b=") {
				t.Fatalf("%+v", ticket)
			}
			b := visit(t, s, ticket.RedirectURI)
			mustBe(t, b.open(ticket.RedirectURI), 200)
			opened := b.view
			if opened.State != StateOpened || opened.Reason != nil || opened.ID != "sandbox-"+played.fault {
				t.Errorf("opened, it is %+v", opened)
			}
			mustBe(t, b.sign(), 202)
			seen := b.view
			if played.fault == "slow" {
				if seen.State != StateSigning || b.watch().State != StateSigning {
					t.Errorf("it is %s at once", seen.State)
				}
				clock.advance(sandboxSlow)
				seen = b.watch()
			}
			if again := b.watch(); again.State != seen.State || (again.Reason == nil) != (seen.Reason == nil) {
				t.Errorf("it was %s, and is %s", seen.State, again.State)
			}
			if seen.State != played.state || (played.reason != "") != (seen.Reason != nil) {
				t.Fatalf("it is %s because of %+v", seen.State, seen.Reason)
			}
			if seen.Reason != nil && (seen.Reason.Code != played.reason || seen.Reason.Retry != (seen.State == StateOpened)) {
				t.Errorf("the reason is %+v", seen.Reason)
			}
			if seen.State.Over() && !strings.Contains(seen.RedirectURI, tokens[i]) {
				t.Errorf("the way back is %s", seen.RedirectURI)
			}
			want := map[State]int{StateSigned: 200, StateFailed: 410, StateOpened: 404, StateSigning: 404}[played.state]
			mustBe(t, answer(s, newFetch(tokens[i])), want)
		})
	}
	mustRefuse(t, post("no_such"), refused{400, "fault", ""})
	if ticket := read[accepted](t, post("")); ticket.Token != SandboxToken {
		t.Errorf("%+v", ticket)
	}
}
