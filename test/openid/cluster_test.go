package openid_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// Two gateways on one database: whatever one of them has told, the other knows, and what is good once is good once.
func TestTwoNodes(t *testing.T) {
	database := postgrestest.Start(t)
	t.Setenv("OPENID_DATABASE_URL", database.DSN())
	w := newWorld(t, func(w *world) {
		w.store, w.tokenLines = "postgres {env.OPENID_DATABASE_URL}", "refresh_repeat 1m"
	})
	w.MustNotLog(postgrestest.Password)
	_, there := w.second(t)
	post := func(form url.Values) answer {
		return newPerson(t).send("POST", there(w.base()+"/token"), form.Encode())
	}
	works := func(token string) bool {
		return newPerson(t).get(there(w.URL("GATEWAY", "/api/x")), "Authorization", "Bearer "+token).status == http.StatusOK
	}

	p := newPerson(t)
	callback := p.signIn(w.issuer, p.get(w.authorizeURL(w.asked("s"))).location(t).String(), alice)
	back := p.get(there(callback)).location(t) // the browser comes back to the other node
	if back.Query().Get("code") == "" || back.Query().Get("state") != "s" {
		t.Fatalf("the client gets %s", back)
	}
	mustTell(t, p.get(callback), 400, ir, "Invalid state parameter.")
	first := w.post(t, w.redeeming(back.Query().Get("code")))
	w.mustWork(t, first.field("access_token"), alice)
	if !works(first.field("access_token")) {
		t.Error("the other node does not know the token")
	}
	next := post(w.refreshing(first.field("refresh_token")))
	if next.field("refresh_count") != "1" {
		t.Fatalf("refreshed at the other node: %d %s", next.status, next.body)
	}
	// Its answer was lost, and the client asks the first node again (TOK-8.17).
	if again := w.post(t, w.refreshing(first.field("refresh_token"))); again.status != http.StatusOK || again.body != next.body {
		t.Errorf("asked again at the first node: got status %d, body %s; want the same as before: %s", again.status, again.body, next.body)
	}
	if third := w.post(t, w.refreshing(next.field("refresh_token"))); third.field("refresh_count") != "2" {
		t.Fatalf("the next at the first node: got status %d, body %s", third.status, third.body)
	}
	mustTell(t, post(w.refreshing(first.field("refresh_token"))), 401, "invalid_grant", refreshInvalid)
	if works(next.field("access_token")) {
		t.Error("the other node does not know that the family is revoked")
	}

	t.Run("at one time", func(t *testing.T) {
		code := w.redeeming(w.code(t, newPerson(t), alice, w.asked("s")))
		var all sync.WaitGroup
		var mu sync.Mutex
		good := 0
		for i := range 8 {
			all.Go(func() {
				address := w.base() + "/token"
				if i%2 == 0 {
					address = there(address)
				}
				response, err := described.PostForm(address, code)
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				mu.Lock()
				defer mu.Unlock()
				if response.StatusCode == http.StatusOK {
					good++
				}
			})
		}
		all.Wait()
		if good > 1 {
			t.Errorf("%d of 8 got tokens for one code", good)
		}
	})
	t.Run("a node dies between code and token", func(t *testing.T) {
		code := w.code(t, newPerson(t), alice, w.asked("s"))
		w.Kill()
		got := post(w.redeeming(code))
		if got.status != http.StatusOK || !works(got.field("access_token")) {
			t.Errorf("%d %s", got.status, got.body)
		}
		w.Restart()
		w.mustWork(t, got.field("access_token"), alice)
	})
}
