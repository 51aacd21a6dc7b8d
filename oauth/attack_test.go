package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/store"
)

// elsewhere is a provider by another name than the one where a sign-in began.
type elsewhere struct{ *stub }

func (elsewhere) Issuer() string { return "https://other.example" }

// began begins a sign-in, and returns the path that the provider sends the browser back to.
func (w *userWorld) began(t *testing.T) string {
	t.Helper()
	away, err := url.Parse(w.browse(asking).Header().Get("Location"))
	if err != nil || away.Host != "op.example" {
		t.Fatalf("sent to %s", away)
	}
	return "/callback?code=x&state=" + away.Query().Get("state")
}

// What may come back to /callback in the place of the one right answer.
func TestCallbackOfAnAttacker(t *testing.T) {
	const invalid = "Invalid state parameter."
	t.Run("of another provider", func(t *testing.T) {
		w := newUserWorld(t)
		callback := w.began(t)
		w.Provider = elsewhere{w.stub}
		mustSay(t, w.browse(callback), 400, invalid)
	})
	t.Run("an error beside a code", func(t *testing.T) {
		w := newUserWorld(t)
		home, _ := url.Parse(w.browse(w.began(t) + "&error=login_required").Header().Get("Location"))
		if q := home.Query(); q.Get("error") != codeDenied || q.Has("code") {
			t.Errorf("the client is sent %v", q)
		}
	})
	t.Run("parameters twice", func(t *testing.T) { // whichever counts, something before us may have read the other
		w := newUserWorld(t)
		for _, name := range []string{"state", "code", "error", "iss"} {
			callback := w.began(t) + "&" + name + "=a&" + name + "=b"
			mustSay(t, w.browse(callback), 400, name+" is given more than once")
		}
	})
	t.Run("without the browser's cookie", func(t *testing.T) {
		w := newUserWorld(t)
		callback := w.began(t)
		right := w.cookies
		for name, cookies := range map[string][]*http.Cookie{
			"none": nil, "empty": {{Name: right[0].Name}}, "another": {{Name: right[0].Name, Value: strings.Repeat("A", 43)}}, "two": {right[0], right[0]},
			"by its name without __Host-": {{Name: strings.TrimPrefix(right[0].Name, "__Host-"), Value: right[0].Value}},
		} {
			w.cookies = cookies
			if a := w.browse(callback); a.Code != 400 || !strings.Contains(a.Body.String(), invalid) || a.Header().Get("Location") != "" {
				t.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
		}
		w.cookies = right
		if w.browse(callback).Header().Get("Location") == "" {
			t.Error("the right browser after that is refused")
		}
	})
}

// raceOn has something happen before the first commit that deletes or puts a key of that kind.
type raceOn struct {
	store.Store
	key   string
	first func()
}

func (r *raceOn) Commit(ctx context.Context, batch store.Batch) error {
	for _, op := range batch.Then {
		if first := r.first; first != nil && (strings.HasPrefix(op.Delete, r.key) || op.Put != nil && strings.HasPrefix(op.Put.Key, r.key)) {
			r.first = nil
			first()
		}
	}
	return r.Store.Commit(ctx, batch)
}

// A code or refresh token that somebody else uses between our look and our commit is used, and its family ends.
func TestUsedAtTheVeryMoment(t *testing.T) {
	t.Run("a code", func(t *testing.T) {
		w := newUserWorld(t)
		code := w.back(t).Get("code")
		race := &raceOn{Store: w.store, key: "code/"}
		w.Service.Store = race
		var quicker answer
		race.first = func() { quicker = w.redeem(code) }
		mustRefuse(t, w.redeem(code), row{400, "invalid_grant", "authorization_code is invalid"})
		w.mustHaveEnded(t, quicker)
	})
	t.Run("a refresh token", func(t *testing.T) {
		w := newUserWorld(t)
		token := w.redeem(w.back(t).Get("code")).fields["refresh_token"]
		race := &raceOn{Store: w.store, key: "refresh/"}
		w.Service.Store = race
		var quicker answer
		race.first = func() { quicker = w.refreshed(token) }
		mustRefuse(t, w.refreshed(token), row{401, "invalid_grant", "refresh_token is invalid"})
		w.mustHaveEnded(t, quicker)
	})
}

func (w *userWorld) mustHaveEnded(t *testing.T, a answer) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("the quicker one: %d %s", a.status, a.body)
	}
	token, _ := a.fields["access_token"].(string)
	if _, err := w.check.Check(t.Context(), "Bearer "+token); BearerCodeOf(err) != BearerUnknown {
		t.Errorf("its token still works: %v", err)
	}
	mustRefuse(t, w.refreshed(a.fields["refresh_token"]), row{401, "invalid_grant", "refresh_token is invalid"})
}

// A browser's sign-in and a client's state are bounded.
func TestAStateThatIsTooLong(t *testing.T) {
	w := newUserWorld(t)
	query := "/authorize?client_id=acme&redirect_uri=https%3A%2F%2Facme.example%2Fin&response_type=code&state="
	if away, _ := url.Parse(w.browse(query + strings.Repeat("s", maxState)).Header().Get("Location")); away.Host != "op.example" {
		t.Errorf("the longest state: sent to %s", away)
	}
	home, _ := url.Parse(w.browse(query + strings.Repeat("s", maxState+1)).Header().Get("Location"))
	if q := home.Query(); q.Get("error_description") != "state is too long" || q.Has("state") {
		t.Errorf("sent to %s", home)
	}
}

// A page's sign-in ends with the provider's logout, and is never mistaken for one of tokens.
func TestPresence(t *testing.T) {
	w := newUserWorld(t)
	p := NewPresence(w.store, w.clock.Now)
	name, err := p.Keep(t.Context(), w.stub.person)
	if err != nil {
		t.Fatal(err)
	}
	holds := func(name string) bool {
		t.Helper()
		holds, err := p.Holds(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return holds
	}
	grant, err := w.check.Check(t.Context(), "Bearer "+w.redeem(w.back(t).Get("code")).fields["access_token"].(string))
	if err != nil || holds(grant.Family) || holds("") || holds("x") || !holds(name) {
		t.Errorf("%v; %v %v %v %v", err, holds(grant.Family), holds(""), holds("x"), holds(name))
	}
	w.logOut(t, "sid-1")
	if holds(name) {
		t.Error("it outlives the logout")
	}
	if _, err := p.Keep(t.Context(), w.stub.person); !errors.Is(err, ErrDenied) {
		t.Errorf("the same session again: %v", err)
	}
	w.stub.person.SID = "sid-2"
	if name, err = p.Keep(t.Context(), w.stub.person); err != nil || !holds(name) {
		t.Errorf("another session: %v", err)
	}
	w.clock.Add(refreshWindow)
	if holds(name) {
		t.Error("it has no end")
	}
}
