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
	if len(names) != 20 || tokens[0] != "00000000-0000-4000-8000-000000000101" {
		t.Errorf("%d faults, from %s", len(names), tokens[0])
	}
	for i, played := range sandboxFaults {
		if played.signIn {
			continue // see TestSandboxSignIns
		}
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

// A sign-in that does not count is played as it is told elsewhere: to the page, at the callback and in the response.
func TestSandboxSignIns(t *testing.T) {
	s := newTestSandbox(t, map[string]Client{acme: {Callback: callback}})
	played := 0
	for _, of := range sandboxFaults {
		if !of.signIn {
			continue
		}
		played++
		t.Run(of.fault, func(t *testing.T) {
			address := baseURL + "/client?token=" + of.token + "&state=x"
			b := visit(t, s, address)
			got := b.open(address)
			mustRefuse(t, got, refused{403, "sign_in", ""})
			told := read[turnedAway](t, got)
			if told.Reason == nil || told.Reason.Code != of.reason || told.Wanted.Session != of.id() || told.Wanted.User != of.came.User || told.Wanted.Name != of.came.Name || told.Wanted.Level != of.came.Level {
				t.Errorf("the page is told %s", got.Body)
			}
			b.load(told.SignInURI)
			mustRefuse(t, b.opens(of.id()), refused{403, "sign_in", ""})
			mustRefuse(t, b.call("/client/sign", map[string]string{"id": of.id()}), refused{403, "sign_in", ""})
			mustRefuse(t, b.do(newPath("/client/session?id="+of.id())), refused{404, "not_found", ""})
			mustBe(t, b.call("/client/cancel", map[string]string{"id": of.id()}), 200)
			back := callback + "&token=" + of.token + "&state=x&error=access_denied&error_description=" + of.reason + "&error_reason=" + of.reason
			if b.view.State != StateCancelled || b.view.Reason.Code != of.reason || b.view.RedirectURI != back || b.view.Items != nil {
				t.Errorf("cancelled it is %+v", b.view)
			}
			if again := b.watch(); again.State != StateCancelled || again.Reason.Code != of.reason {
				t.Errorf("then it is %+v", again)
			}
			answered := answer(s, newFetch(of.token))
			mustRefuse(t, answered, refused{410, "cancelled", ""})
			if why := read[failed](t, answered).Reason; why.Code != of.reason {
				t.Errorf("the client is told %s", answered.Body)
			}
		})
	}
	if played != 3 {
		t.Errorf("%d sign-ins are played", played)
	}
}
