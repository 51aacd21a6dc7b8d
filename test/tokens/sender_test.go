package tokens_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// senderSite is a gateway's other side: a plain-HTTP application's way to the API of the first site. No two are
// the same, so that a reload with one is never left out: it forgets the tokens that were fetched before.
func (w *world) senderSite(keys string) string {
	w.sites++
	return fmt.Sprintf(`
http://localhost:{$PORT_SENDER} {
	apim_sender {
		token_url http://localhost:{$PORT_GATEWAY}/oauth2/token
		%s
		replay %d
		organisation `+"`"+`{"resourceType":"Organization"}`+"`"+`
	}
	reverse_proxy localhost:{$PORT_GATEWAY} {
		header_up Host localhost:{$PORT_GATEWAY}
	}
}
`, keys, 1000+w.sites)
}

// An application speaks plain HTTP, and what happens to its tokens and keys is none of its business.
func TestSender(t *testing.T) {
	w := newWorld(t)
	turning, next := w.keys["turning"], w.keys["beta"]
	current := "client turning\n\t\tkey turning-1 " + turning.Private
	w.Reload(w.caddyfile(w.senderSite(current)))
	call := func(want string) {
		t.Helper()
		a := send(t, "GET", w.URL("SENDER", "/api/x"), "")
		if a.status != http.StatusOK || a.body != want {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	const mine = "hello turning booking []"
	told := func(client string) (n int) {
		for line := range strings.Lines(w.Output()) {
			if strings.Contains(line, `"token issued","client":"`+client+`"`) {
				n++
			}
		}
		return n
	}
	betas := 0
	// issued is how many tokens the application was given. What is printed is read here some time later, but in the order
	// in which it was printed: when a token of another client, fetched now, is told of, so are all that came before.
	issued := func() int {
		t.Helper()
		w.token(t, "beta")
		betas++
		if !gateway.Eventually(patience, func() bool { return told("beta") == betas }) {
			t.Fatalf("the log tells of %d tokens of beta, and there are %d", told("beta"), betas)
		}
		return told("turning")
	}
	call(mine)

	t.Run("many at once, one token", func(t *testing.T) {
		w.Reload(w.caddyfile(w.senderSite(current)))
		before := issued()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				a, err := exchange(client, "GET", w.URL("SENDER", "/api/x"), "")
				if err != nil || a.body != mine {
					t.Errorf("%v %d %s", err, a.status, a.body)
				}
			})
		}
		all.Wait()
		if n := issued() - before; n != 1 {
			t.Errorf("%d tokens", n)
		}
	})

	t.Run("a rotated key", func(t *testing.T) {
		rotating := current + "\n\t\tnext turning-2 " + next.Private + " " + time.Now().Add(-2*time.Hour).UTC().Format(time.RFC3339)
		w.Reload(w.caddyfile(w.senderSite(rotating)))
		call(mine) // the token service does not know the next key yet
		w.publish(t, map[string]gateway.Key{"turning-2": next})
		w.Reload(w.caddyfile(w.senderSite(rotating))) // which forgets, too, that the next key was unknown
		if !gateway.Eventually(patience, func() bool {
			return send(t, "GET", w.URL("SENDER", "/api/x"), "").status == http.StatusOK
		}) {
			t.Fatal("no call after the rotation")
		}
		if !gateway.Eventually(patience, func() bool { return strings.Contains(w.Output(), `"kid":"turning-2","token"`) }) {
			t.Error("the next key got no token")
		}
	})

	t.Run("a supplier with many providers", func(t *testing.T) {
		made := w.caddyfile(w.senderSite("provider_by {header.X-Provider}\n\t\tprovider a {\n\t\t\tclient acme\n\t\t\tkey acme-1 " + w.keys["acme"].Private +
			"\n\t\t}\n\t\tprovider b {\n\t\t\tclient beta\n\t\t\tkey beta-1 " + w.keys["beta"].Private + "\n\t\t}"))
		w.Reload(made)
		for provider, want := range map[string]string{"a": "hello acme signing []", "b": "hello beta signing []"} {
			if a := send(t, "GET", w.URL("SENDER", "/api/x"), "", "X-Provider", provider); a.body != want {
				t.Errorf("%s: %d %s", provider, a.status, a.body)
			}
		}
		if a := send(t, "GET", w.URL("SENDER", "/api/x"), "", "X-Provider", "c"); a.status != http.StatusBadRequest || a.field("error") != "unknown_provider" {
			t.Errorf("an unknown provider: %d %s", a.status, a.body)
		}
	})

	t.Run("a revoked client", func(t *testing.T) {
		text := strings.Replace(w.caddyfile(w.senderSite("client acme\n\t\tkey acme-1 "+w.keys["acme"].Private)),
			"client acme {", "client acme {\n\t\t\tstatus revoked", 1)
		w.Reload(text)
		a := send(t, "GET", w.URL("SENDER", "/api/x"), "")
		if a.status != http.StatusBadGateway || !strings.Contains(a.field("error_description"), "Invalid 'iss'/'sub' claims") {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
