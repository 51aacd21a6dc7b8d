package signing

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

const (
	colleague     = "555086689207"
	colleagueName = "Dr Bob Made-Up"
)

// turnedAway is the answer to a page whose browser comes from a sign-in that does not count.
type turnedAway struct {
	failed
	SignInURI string       `json:"signInUri"`
	Wanted    wantedSignIn `json:"signIn"`
}

// signInWorld is a service that has people sign in, keeps an audit log and tells its client by webhook.
type signInWorld struct {
	*outboxWorld
	provider *provider
	auditor  *auditor
}

func newTurningWorld(t *testing.T) *signInWorld {
	t.Helper()
	p, a := &provider{name: "op.example"}, &auditor{}
	return &signInWorld{newOutboxWorld(t, func(o *Options) { p.demanded(o); o.Auditor = a }), p, a}
}

// comes has the browser come back from the provider with this query, and load the page that it is sent to.
func (w *signInWorld) comes(t *testing.T, b *browser, ticket accepted, query string) {
	t.Helper()
	state := w.provider.began[len(w.provider.began)-1].state
	got := b.do(newPath("/client/signed-in?state=" + state + query))
	if to := got.Header().Get("Location"); got.Code != http.StatusSeeOther || to != baseURL+"/client?session="+sessionOf(t, ticket) {
		t.Fatalf("the browser is answered %d and sent to %q, want the page, without the token", got.Code, to)
	}
	b.load(got.Header().Get("Location"))
}

// opens loads the page of a session by its id, as it is in the address bar.
func (b *browser) opens(id string) *httptest.ResponseRecorder {
	b.Helper()
	return b.call("/client/open", map[string]string{"id": id})
}

// signIns are the sign-ins that do not count: what the browser comes back with, and what is said of it.
var signIns = map[string]struct {
	query string
	want  wantedSignIn
	audit []string
}{
	reasonWrongUser: {"&code=" + colleague + "&name=Dr+Bob+Made-Up", wantedSignIn{Sub: person, User: colleague, Name: colleagueName, Level: 3, Least: 3},
		[]string{"sign_in_refused wrong_user"}},
	reasonLevel: {"&code=" + person + "&level=2", wantedSignIn{Sub: person, User: person, Level: 2, Least: 3},
		[]string{"sign_in_refused insufficient_level"}},
	reasonSignInDenied: {"&error=access_denied", wantedSignIn{}, nil},
	reasonSignInFailed: {"&error=login_required", wantedSignIn{}, nil},
}

// Each sign-in that does not count is told by a word of its own: to the page, to the client that asks, by webhook, at the
// callback, to the operator and in the audit log. The request waits until it is cancelled.
func TestASignInThatDoesNotCount(t *testing.T) {
	for reason, c := range signIns {
		t.Run(reason, func(t *testing.T) {
			w := newTurningWorld(t)
			b, ticket := w.asked(t)
			id := sessionOf(t, ticket)
			w.comes(t, b, ticket, c.query)

			got := b.opens(id)
			mustRefuse(t, got, refused{403, "sign_in", ""})
			told := read[turnedAway](t, got)
			c.want.Session, c.want.Client = id, "Acme EPR"
			if told.Reason == nil || told.Reason.Code != reason || told.Wanted != c.want || told.SignInURI == "" {
				t.Errorf("the page is told %s", got.Body)
			}
			if last := w.provider.began[len(w.provider.began)-1]; !last.fresh || w.provider.began[0].fresh {
				t.Errorf("the second sign-in is fresh: %t, the first: %t", last.fresh, w.provider.began[0].fresh)
			}
			answered := w.fetch(ticket.Token)
			mustRefuse(t, answered, refused{400, "not_opened", "Signature request has not been downloaded yet"})
			if why := read[failed](t, answered).Reason; why == nil || why.Code != reason || why.Text == "" {
				t.Errorf("the client is told %s", answered.Body)
			}
			if s, found, err := w.Session(t.Context(), id); err != nil || !found || s.State != StateCreated || s.Reason == nil || s.Reason.Code != reason {
				t.Errorf("the operator is told %+v, %v", s, err)
			}

			mustBe(t, b.call("/client/cancel", map[string]string{"id": id}), 200)
			back := callback + "&token=" + ticket.Token + "&state=their&error=access_denied&error_description=" + reason + "&error_reason=" + reason
			if b.view.State != StateCancelled || b.view.Reason.Code != reason || b.view.Reason.Retry || b.view.RedirectURI != back || b.view.Items != nil {
				t.Errorf("cancelled it is %+v, want the way back %s", b.view, back)
			}
			answered = w.fetch(ticket.Token)
			mustRefuse(t, answered, refused{410, "cancelled", ""})
			if why := read[failed](t, answered).Reason; why.Code != reason {
				t.Errorf("the client is told %s", answered.Body)
			}
			if event := w.event(ticket); event.Type != "signing.cancelled" || event.Data.Reason.Code != reason {
				t.Errorf("the webhook tells %+v", event)
			}
			mustBe(t, b.opens(id), 200)
			if b.view.State != StateCancelled || b.view.Items != nil {
				t.Errorf("loaded again it is %+v", b.view)
			}
			if got, want := w.auditor.outcomes(), append(slices.Clone(c.audit), "cancelled "+reason); !slices.Equal(got, want) {
				t.Errorf("audited %q, want %q", got, want)
			}
			if c.audit != nil && w.auditor.records[0].Came != c.want.User {
				t.Errorf("audited %+v", w.auditor.records[0])
			}
			for _, personal := range []string{person, colleague, colleagueName} {
				if strings.Contains(w.logs.String(), personal) {
					t.Errorf("the log has %s", personal)
				}
			}
			if line := "code=" + reason; !strings.Contains(w.logs.String(), line) {
				t.Errorf("the log lacks %s", line)
			}
			other := visit(t, w.Service, ticket.RedirectURI)
			mustRefuse(t, other.open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
		})
	}
}

// The right person can sign in afterwards, in the same browser or in another, and nothing is left of the wrong one.
func TestTheRightPersonComesAfterTheWrongOne(t *testing.T) {
	for _, same := range []bool{true, false} {
		w := newTurningWorld(t)
		b, ticket := w.asked(t)
		id := sessionOf(t, ticket)
		w.comes(t, b, ticket, "&code="+colleague)
		if same {
			mustRefuse(t, b.opens(id), refused{403, "sign_in", ""})
		} else {
			b = visit(t, w.Service, ticket.RedirectURI)
			got := b.open(ticket.RedirectURI)
			mustRefuse(t, got, refused{403, "sign_in", ""})
			if told := read[turnedAway](t, got); told.Reason != nil || told.Wanted != (wantedSignIn{}) {
				t.Errorf("another browser is told %s", got.Body)
			}
		}
		last := w.provider.began[len(w.provider.began)-1]
		if last.fresh != same {
			t.Errorf("in the same browser %t: fresh %t", same, last.fresh)
		}
		if to := b.back(last.state, person).Header().Get("Location"); to != baseURL+"/client?"+query(ticket) {
			t.Fatalf("the right person is sent to %s", to)
		}
		mustBe(t, b.open(ticket.RedirectURI), 200)
		if len(b.view.Items) != 1 || b.view.SignedOut || b.view.Reason != nil {
			t.Errorf("the page is told %+v", b.view)
		}
		if kept := b.cookies["__Host-countersign-login-"+refusalID(id)]; kept != nil {
			t.Errorf("the browser still keeps %v", kept)
		}
		if answered := read[failed](t, w.fetch(ticket.Token)); answered.Code != "not_signed" || answered.Reason != nil {
			t.Errorf("the client is told %+v", answered)
		}
		mustBe(t, b.sign(), http.StatusAccepted)
		if b.settled().State != StateSigned {
			t.Errorf("it is %+v", b.view)
		}
	}
}

func query(of accepted) string {
	_, query, _ := strings.Cut(of.RedirectURI, "?")
	return query
}

// The same refusal again is no news: whoever repeats it costs the store nothing, and the audit log is told of people alone.
func TestARepeatedRefusalWritesNothing(t *testing.T) {
	w := newTurningWorld(t)
	b, ticket := w.asked(t)
	w.comes(t, b, ticket, "&error=access_denied")
	writes := 0
	w.store.fail(nil, func(store.Batch) error { writes++; return nil })
	for range 3 {
		mustRefuse(t, b.opens(sessionOf(t, ticket)), refused{403, "sign_in", ""})
		w.comes(t, b, ticket, "&error=access_denied")
	}
	if writes != 0 || len(w.auditor.records) != 0 {
		t.Errorf("three refusals caused %d writes and %d records", writes, len(w.auditor.records))
	}
}

// A request that expires after a sign-in that did not count says both; the page says what counts there.
func TestExpiredAfterTheWrongPerson(t *testing.T) {
	w := newTurningWorld(t)
	b, ticket := w.asked(t)
	w.comes(t, b, ticket, "&code="+colleague)
	w.clock.advance(30 * time.Minute)
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "expired", ""})
	w.ripen(ticket)
	if event := w.event(ticket); event.Type != "signing.expired" || event.Data.Reason.Code != reasonWrongUser {
		t.Errorf("the webhook tells %+v", event)
	}
	mustBe(t, b.opens(sessionOf(t, ticket)), 200)
	if !strings.HasSuffix(b.view.RedirectURI, "&error=request_expired&error_description=wrong_user&error_reason=wrong_user") || b.view.Reason.Code != reasonExpired || b.view.Items != nil {
		t.Errorf("the page is told %+v", b.view)
	}
}

// Somebody else with the link can neither change nor end what the right person has open, whoever they sign in as.
func TestTheWrongPersonElsewhere(t *testing.T) {
	w := newTurningWorld(t)
	b, ticket := w.asked(t)
	id := sessionOf(t, ticket)
	stranger := visit(t, w.Service, ticket.RedirectURI)
	mustRefuse(t, stranger.open(ticket.RedirectURI), refused{403, "sign_in", ""})
	mustRefuse(t, stranger.call("/client/cancel", map[string]string{"id": id}), refused{404, "not_found", ""})
	begun := w.provider.began
	mustBe(t, b.back(begun[0].state, person), http.StatusSeeOther)
	mustBe(t, b.open(ticket.RedirectURI), 200)
	mustBe(t, stranger.back(begun[1].state, colleague), http.StatusSeeOther)
	mustRefuse(t, stranger.call("/client/cancel", map[string]string{"id": id}), refused{404, "not_found", ""})
	mustRefuse(t, stranger.opens(id), refused{404, "not_found", ""})
	mustRefuse(t, stranger.open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
	if answered := read[failed](t, w.fetch(ticket.Token)); answered.Reason != nil {
		t.Errorf("the client is told %+v", answered)
	}
	mustBe(t, b.sign(), http.StatusAccepted)
	if b.settled().State != StateSigned {
		t.Errorf("it is %+v", b.view)
	}
}

// Who came is kept by the browser alone, which cannot read it, and no other can use it.
func TestWhoCameIsKeptByTheBrowserAlone(t *testing.T) {
	w := newTurningWorld(t)
	b, ticket := w.asked(t)
	id := sessionOf(t, ticket)
	w.comes(t, b, ticket, "&code="+colleague+"&name=Dr+Bob%00+Made-Up"+strings.Repeat("x", 500))
	name := "__Host-countersign-login-" + refusalID(id)
	kept := b.cookies[name]
	if kept == nil || !kept.HttpOnly || !kept.Secure || kept.MaxAge > 30*60 {
		t.Fatalf("the browser keeps %v", b.cookies)
	}
	decoded, err := base64.RawURLEncoding.DecodeString(kept.Value)
	if err != nil || strings.Contains(string(decoded), colleague) || strings.Contains(string(decoded), ticket.Token) {
		t.Errorf("the browser can read %q (%v)", decoded, err)
	}
	if told := read[turnedAway](t, b.opens(id)); len(told.Wanted.Name) != maxName || !strings.HasPrefix(told.Wanted.Name, "Dr Bob Made-Upxxx") {
		t.Errorf("the name is %q", told.Wanted.Name)
	}
	records, err := w.store.Get(t.Context(), sessionKey(id))
	if err != nil || strings.Contains(string(records[0].Value), colleague) || strings.Contains(string(records[0].Value), "Bob") {
		t.Errorf("the store has %s (%v)", records[0].Value, err)
	}
	thief, _ := w.asked(t)
	thief.cookies[name] = kept
	mustRefuse(t, thief.opens(id), refused{404, "not_found", ""})
	mustRefuse(t, thief.call("/client/cancel", map[string]string{"id": id}), refused{404, "not_found", ""})
	delete(b.cookies, name) // it had to make room: the page still says why, and no more
	got := b.open(ticket.RedirectURI)
	mustRefuse(t, got, refused{403, "sign_in", ""})
	if told := read[turnedAway](t, got); told.Reason.Code != reasonWrongUser || told.Wanted.User != "" || told.Wanted.Sub != "" {
		t.Errorf("without its cookie the page is told %s", got.Body)
	}
	mustBe(t, b.call("/client/cancel", map[string]string{"id": id}), 200)
	if b.view.Reason.Code != reasonWrongUser || !strings.Contains(b.view.RedirectURI, "token="+ticket.Token+"&state=their") {
		t.Errorf("cancelled it is %+v", b.view)
	}
}

// After a logout the service tells no items: not to a page that looks, not to one that is loaded again, whatever becomes
// of the request meanwhile. A colleague who signs in then is turned away, and ends the first one's sign-in here.
func TestNoItemsAfterALogout(t *testing.T) {
	w := newTurningWorld(t)
	b, ticket := w.asked(t)
	mustBe(t, b.back(w.provider.began[0].state, person), http.StatusSeeOther)
	mustBe(t, b.open(ticket.RedirectURI), 200)
	id := b.view.ID
	if len(b.view.Items) != 1 || b.watch().SignedOut {
		t.Fatalf("signed in, the page is told %+v", b.view)
	}
	w.provider.out = true
	if !b.watch().SignedOut {
		t.Errorf("signed out, the page is told %+v", b.view)
	}
	mustRefuse(t, b.opens(id), refused{403, "sign_in", ""})
	w.comes(t, b, ticket, "&code="+colleague)
	w.provider.out = false
	if !b.watch().SignedOut {
		t.Error("a colleague has signed in, and the page takes them for the person")
	}
	mustRefuse(t, b.sign(), refused{403, "sign_in", ""})
	mustBe(t, b.back(w.provider.began[len(w.provider.began)-1].state, person), http.StatusSeeOther)
	mustBe(t, b.opens(id), 200)
	began, release := w.agent.waits()
	mustBe(t, b.sign(), http.StatusAccepted)
	<-began
	w.provider.out = true
	mustBe(t, b.opens(id), 200)
	if b.view.State != StateSigning || !b.view.SignedOut || b.view.Items != nil {
		t.Errorf("while it is signed, the page is told %+v", b.view)
	}
	close(release)
	if b.settled().State != StateSigned {
		t.Errorf("it is %+v", b.view)
	}
}

// What is over has no items any more.
func TestNoItemsAfterTheEnd(t *testing.T) {
	w := newWorld(t, nil)
	signed, ticket := w.opened(RS256, 2, "")
	mustBe(t, signed.sign(), http.StatusAccepted)
	signed.settled()
	mustBe(t, signed.opens(signed.view.ID), 200)
	w.clock.advance(time.Second)
	cancelled, _ := w.opened(RS256, 1, "")
	mustBe(t, cancelled.cancel(), 200)
	mustBe(t, cancelled.opens(cancelled.view.ID), 200)
	w.clock.advance(time.Second)
	expired, _ := w.opened(RS256, 1, "")
	w.clock.advance(30 * time.Minute)
	mustBe(t, expired.opens(expired.view.ID), 200)
	for state, b := range map[State]*browser{StateSigned: signed, StateCancelled: cancelled, StateExpired: expired} {
		if b.view.State != state || b.view.Items != nil {
			t.Errorf("%s it is %+v", state, b.view)
		}
	}
	mustBe(t, w.fetch(ticket.Token), 200)
}
