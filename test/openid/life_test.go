package openid_test

import (
	"net/http"
	"testing"
)

// Between any two steps the gateway may be reloaded or die: what was told is kept.
func TestKillAndReload(t *testing.T) {
	w := newWorld(t)
	again := map[string]func(){
		"reload": func() { w.Reload(w.caddyfile() + "# changed\n") },
		"kill":   func() { w.Kill(); w.Restart() },
	}
	for name, interrupt := range again {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			address := p.get(w.authorizeURL(w.asked("s"))).location(t).String()
			interrupt() // while the person is at the provider
			callback := p.signIn(w.issuer, address, alice)
			code := p.get(callback).location(t).Query().Get("code")
			interrupt() // between code and token
			got := w.post(t, w.redeeming(code))
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			interrupt() // between token and refresh
			w.mustWork(t, got.field("access_token"), alice)
			next := w.post(t, w.refreshing(got.field("refresh_token")))
			if next.status != http.StatusOK {
				t.Fatalf("%d %s", next.status, next.body)
			}
			interrupt()
			w.mustWork(t, next.field("access_token"), alice)
			mustTell(t, w.post(t, w.redeeming(code)), 400, "invalid_grant", codeInvalid)
			w.mustNotWork(t, next.field("access_token"))
			interrupt() // what was revoked stays so
			w.mustNotWork(t, next.field("access_token"))
			mustTell(t, p.get(callback), 400, ir, "Invalid state parameter.")
		})
	}
}
