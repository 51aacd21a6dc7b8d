package webhook

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// names is a resolver whose answers a test chooses.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(n[host])}, nil
}

// serve is a server at 127.0.0.1, which is allowed here under a public name; it returns its port.
func serve(t *testing.T, secure bool) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.URL[strings.LastIndex(server.URL, ":"):]
}

// Addresses that a name leads to are refused when they are dialled, in words that tell an operator what to do; and a
// server that speaks no TLS, has a certificate of nobody's, or is not there is told apart.
func TestFailuresAreToldApart(t *testing.T) {
	settings := func(networks ...netip.Prefix) *Settings {
		return Settings{
			HTTP: outbound.New(outbound.Options{Timeout: time.Minute, AllowNetworks: networks, Resolver: names{
				"private.example": "10.1.2.3", "metadata.example": "169.254.169.254", "here.example": "127.0.0.1",
			}}),
			Sign:   func(context.Context, []byte) ([]jwks.RingSignature, error) { return nil, nil },
			Source: &source{},
		}.complete()
	}
	strict, loose := settings(), settings(netip.MustParsePrefix("127.0.0.0/8"))
	for _, row := range []struct {
		settings        *Settings
		address         string
		outcome, detail string
	}{
		{strict, "https://private.example/hook", OutcomeRefused, "private.example resolves to 10.1.2.3, a private address: add its network to allow_networks"},
		{strict, "https://metadata.example/hook", OutcomeRefused, "a link-local address"},
		{strict, "https://here.example/hook", OutcomeRefused, "a loopback address"},
		{strict, "http://here.example/hook", OutcomeRefused, "use https"},
		{loose, "https://here.example:1/hook", OutcomeUnreachable, "connection refused"},
		{loose, "https://here.example" + serve(t, false) + "/hook", OutcomeUnreachable, "does not speak https"},
		{loose, "https://here.example" + serve(t, true) + "/hook", OutcomeUnreachable, "certificate is not accepted"},
	} {
		delivery := &Delivery{ID: "d", Client: "acme", Type: "t", At: time.Now(), Content: jsontext.Value(`{}`)}
		attempt, _ := row.settings.send(t.Context(), row.address+"?key=canary", delivery, time.Now)
		if attempt.Outcome != row.outcome || !strings.Contains(attempt.Detail, row.detail) || strings.Contains(attempt.Detail, "canary") {
			t.Errorf("%s: %+v", row.address, attempt)
		}
	}
}

// An event that cannot be made or signed is not sent, and that is told.
func TestNotSent(t *testing.T) {
	for name, spoil := range map[string]func(*Settings, *source){
		"no body": func(_ *Settings, s *source) { s.body = func(*Delivery) ([]byte, error) { return nil, errDown } },
		"no signature": func(s *Settings, _ *source) {
			s.Sign = func(context.Context, []byte) ([]jwks.RingSignature, error) { return nil, errDown }
		},
	} {
		receivers, from := &receivers{}, &source{}
		settings := Settings{HTTP: &http.Client{Transport: receivers}, Source: from}
		spoil(&settings, from)
		attempt, _ := settings.complete().send(t.Context(), "https://acme.example/hook", &Delivery{ID: "d"}, time.Now)
		if attempt.Outcome != OutcomeNotSent || !strings.Contains(attempt.Detail, errDown.Error()) || len(receivers.got()) != 0 {
			t.Errorf("%s: %+v", name, attempt)
		}
	}
}

func TestRetryAfterAsADate(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"Sun, 22 Nov 2026 09:00:30 GMT": 30 * time.Second, "Sun, 22 Nov 2026 08:00:00 GMT": 0, "": 0, "99999999999": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
}
