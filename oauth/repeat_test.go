package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

var refreshIsInvalid = row{401, "invalid_grant", "refresh_token is invalid"}

func newRepeatWorld(t *testing.T) *userWorld {
	t.Helper()
	w := newUserWorld(t)
	w.Service.RefreshRepeat = 10 * time.Second
	return w
}

// A client that lost the answer to a refresh gets the same again, for ten seconds (TOK-8.17).
func TestALostAnswer(t *testing.T) {
	w := newRepeatWorld(t)
	first := w.redeem(w.back(t).Get("code")).fields["refresh_token"]
	got := w.refreshed(first)
	w.clock.Add(10*time.Second - time.Millisecond)
	for range 2 {
		if again := w.refreshed(first); again.status != http.StatusOK || again.body != got.body {
			t.Errorf("got status %d, body %s; want the same as before: %s", again.status, again.body, got.body)
		}
	}
	last := w.audit.records[len(w.audit.records)-1]
	issued := w.audit.records[len(w.audit.records)-3]
	if last.Outcome != "repeated" || issued.Outcome != "" || last.Grant != "refresh_token" || last.Token != issued.Token || last.Family != issued.Family || last.Person != issued.Person ||
		last.Level != issued.Level || !last.Issued.Equal(issued.Issued) || !last.Expires.Equal(issued.Expires) || last.Client != "acme" {
		t.Errorf("got record %+v, of a token with the record %+v", last, issued)
	}
	w.clock.Add(time.Millisecond)
	mustRefuse(t, w.refreshed(first), refreshIsInvalid)
	w.mustHaveEnded(t, got)
}

// The answer is told again only until its refresh token is used: then a reuse ends the family, the sooner the better.
func TestALostAnswerThatArrived(t *testing.T) {
	w := newRepeatWorld(t)
	first := w.redeem(w.back(t).Get("code")).fields["refresh_token"]
	second := w.refreshed(first)
	third := w.refreshed(second.fields["refresh_token"])
	if again := w.refreshed(second.fields["refresh_token"]); again.body != third.body {
		t.Errorf("the second token: got status %d, body %s; want %s", again.status, again.body, third.body)
	}
	for _, key := range w.records(t) {
		if strings.HasPrefix(key, repeatKey(first.(string))) {
			t.Errorf("the store still has %s", key)
		}
	}
	mustRefuse(t, w.refreshed(first), refreshIsInvalid)
	w.mustHaveEnded(t, third)
}

// Nobody but the client itself gets an answer again, and nobody gets one of a sign-in that is over.
func TestWhoGetsAnAnswerAgain(t *testing.T) {
	w := newRepeatWorld(t)
	beta := w.Service.Clients["acme"]
	beta.Secret = "another"
	w.Service.Clients["beta"] = beta
	first := w.redeem(w.back(t).Get("code")).fields["refresh_token"]
	got := w.refreshed(first)
	form := w.refreshing(first.(string))
	form.Set("client_secret", "wrong")
	mustRefuse(t, w.post(form), row{401, "invalid_client", "client_id or client_secret is invalid"})
	form.Set("client_id", "beta")
	form.Set("client_secret", "another")
	mustRefuse(t, w.post(form), refreshIsInvalid)
	if again := w.refreshed(first); again.body != got.body {
		t.Errorf("the client itself, after others: got status %d, body %s", again.status, again.body)
	}
	w.logOut(t, "sid-1")
	mustRefuse(t, w.refreshed(first), refreshIsInvalid)
}

// A client that proves itself by assertions needs a new one for the same answer.
func TestALostAnswerOfAnAssertion(t *testing.T) {
	w := newRepeatWorld(t)
	first := w.redeem(w.back(t).Get("code")).fields["refresh_token"].(string)
	proving := func(assertion string) answer {
		return w.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}})
	}
	once, twice := mint(t, "acme-1", w.claimsOf("acme")), mint(t, "acme-1", w.claimsOf("acme"))
	got := proving(once)
	if got.status != http.StatusOK {
		t.Fatalf("got status %d, body %s", got.status, got.body)
	}
	used := row{400, "invalid_request", "Non-unique 'jti' claim in client_assertion JWT"}
	mustRefuse(t, proving(once), used)
	if again := proving(twice); again.body != got.body {
		t.Errorf("with another assertion: got status %d, body %s; want %s", again.status, again.body, got.body)
	}
	if last := w.audit.records[len(w.audit.records)-1]; last.KID != "acme-1" || last.Outcome != "repeated" {
		t.Errorf("got record %+v", last)
	}
	mustRefuse(t, proving(twice), used)

	// The next refresh token is used between the look and the spending of the assertion.
	race := &raceOn{Store: w.store, key: "jti/"}
	w.Service.Store = race
	race.first = func() {
		w.Service.Store = w.store
		if next := w.refreshed(got.fields["refresh_token"]); next.status != http.StatusOK {
			t.Errorf("the next: got status %d, body %s", next.status, next.body)
		}
	}
	mustRefuse(t, proving(mint(t, "acme-1", w.claimsOf("acme"))), refreshIsInvalid)
}

// Two tabs that refresh at one time both go on, again and again.
func TestTwoTabsRefreshAtOnce(t *testing.T) {
	w := newRepeatWorld(t)
	token := w.redeem(w.back(t).Get("code")).fields["refresh_token"]
	for range 10 {
		var both sync.WaitGroup
		answers := make([]answer, 2)
		for i := range answers {
			both.Go(func() { answers[i] = w.refreshed(token) })
		}
		both.Wait()
		if answers[0].status != http.StatusOK || answers[0].body != answers[1].body {
			t.Fatalf("got %s and %s", answers[0].body, answers[1].body)
		}
		token = answers[0].fields["refresh_token"]
	}
}

// An answer is told again when that is recorded, and kept sealed until then.
func TestALostAnswerIsRecordedAndSealed(t *testing.T) {
	w := newRepeatWorld(t)
	spied := &spy{Store: w.store}
	w.Service.Store = spied
	first := w.redeem(w.back(t).Get("code")).fields["refresh_token"].(string)
	got := w.refreshed(first)
	for _, secret := range []string{first, got.fields["access_token"].(string), got.fields["refresh_token"].(string)} {
		if strings.Contains(string(spied.seen), secret) {
			t.Errorf("the store was given %q", secret)
		}
	}
	w.audit.err = errors.New("disk full")
	if a := w.refreshed(first); a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "access_token") {
		t.Errorf("it cannot be recorded: got status %d, body %s", a.status, a.body)
	}
	w.audit.err = nil
	w.store.fail(store.ErrUnavailable)
	if a := w.refreshed(first); a.status != http.StatusServiceUnavailable {
		t.Errorf("the store is away: got status %d, body %s", a.status, a.body)
	}
	w.store.fail(nil)
	if a := w.refreshed(first); a.body != got.body {
		t.Errorf("got status %d, body %s; want %s", a.status, a.body, got.body)
	}
	w.Service.RefreshRepeat = 0
	mustRefuse(t, w.refreshed(first), refreshIsInvalid)
}
