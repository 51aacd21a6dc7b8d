package clients_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestSandboxExample starts docs/examples/sandbox.caddyfile and goes through its page, which ends at the client's callback:
// after signing, after a fault that ends the request, and after a cancellation.
func TestSandboxExample(t *testing.T) {
	text := string(read(t, filepath.Join(gateway.Root(t), "docs", "examples", "sandbox.caddyfile")))
	g := gateway.Start(t, strings.ReplaceAll(text, "8080", "{$PORT_GATEWAY}"))
	system := gateway.System{Base: g.URL("GATEWAY", "/signing-service"), ID: "my-epr", Kid: "any", Key: gateway.NewKey(t, 2048), Sub: person}
	for _, c := range []struct {
		name, fault string
		act         func(*gateway.Browser) gateway.View
		want        string
	}{
		{"signed", "", (*gateway.Browser).SignToEnd, "token f523a772-24f2-45d6-a8da-59b48de0231a, state my-state and error ."},
		{"fault", "wrong_signature", (*gateway.Browser).SignToEnd, "state my-state and error server_error."},
		{"cancelled", "", func(b *gateway.Browser) gateway.View {
			b.Open()
			var view gateway.View
			b.Cancel().JSON(t, &view)
			return view
		}, "state my-state and error access_denied."},
	} {
		accepted := system.Accepted(t, system.PostAs(t, "text/plain", "?state=my-state",
			[]byte(system.JWT(t, "RS256", gateway.Payloads("RS256", 1)...)), "X-Fault", c.fault))
		view := c.act(gateway.Visit(t, accepted.RedirectURI))
		answer := gateway.Get(t, view.Redirect, nil)
		if answer.Status != http.StatusOK || !strings.Contains(string(answer.Body), c.want) {
			t.Errorf("%s: got %d %s at %s, want %q at the callback", c.name, answer.Status, answer.Body, view.Redirect, c.want)
		}
	}
}
