package journey_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// person is who signs: a made-up SDS user id. No gateway may log it.
const person = "555086689106"

// callback is where the client systems want the browser back. Nobody listens there: these tests follow no
// redirect, they look at it.
const callback = "http://localhost:9/signed?site=7"

// acmeKey is the key of the client system acme. All tests share it, since it takes a while to make.
var acmeKey gateway.Key

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-journey-")
	if err == nil {
		acmeKey, err = gateway.MakeKey(dir, 4096)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

// world is a gateway with one client system and, under a path of its own for each, Signing Services that
// differ in their smartcard agent.
type world struct {
	*gateway.Gateway
	key     gateway.Key // of the client system acme, registered as acme-1
	options options
}

// options say how a world differs from the plain one: one service "main" with a sound mock agent.
type options struct {
	services []service
	global   string // more lines for the countersign block
	sites    string // more sites
	client   string // in place of the client acme's key line; the key is {key}
}

// service is one Signing Service and its agent.
type service struct {
	name  string
	agent string // more lines for smartcard_agent mock
	lines string // lines of signing_service, in place of its mock line; {agent} is the agent's address and its mutual TLS
	tls   string // of the agent's site, in place of Caddy's own CA and mandatory client certificates
}

const mutualTLS = `{
					` + gateway.MutualTLS + `				}`

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{key: acmeKey, options: o}
	w.Gateway = gateway.Start(t, w.caddyfile(o))
	w.MustNotLog(person)
	return w
}

// caddyfile writes the options as an operator would.
func (w *world) caddyfile(o options) string {
	if len(o.services) == 0 {
		o.services = []service{{name: "main"}}
	}
	key := "key acme-1 " + w.key.Public
	if o.client != "" {
		key = strings.ReplaceAll(o.client, "{key}", w.key.Public)
	}
	var routes, sites strings.Builder
	for _, s := range o.services {
		port := strings.ToUpper(s.name)
		agent := "https://localhost:{$PORT_" + port + "} " + mutualTLS
		lines := "mock " + agent
		if s.lines != "" {
			lines = strings.ReplaceAll(s.lines, "{agent}", agent)
		}
		fmt.Fprintf(&routes, `
	handle_path /%[1]s/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/%[1]s
			access open
			%[2]s
			certificates {
				trust mock
			}
		}
	}`, s.name, lines)
		tls := gateway.DemandMutualTLS
		if s.tls != "" {
			tls = s.tls
		}
		fmt.Fprintf(&sites, `
https://localhost:{$PORT_%s} {
	%s
	smartcard_agent mock {
		allow_client gateway.countersign.internal
		%s
	}
}
`, port, tls, s.agent)
	}
	return fmt.Sprintf(`{
`+gateway.Options+`	countersign {
		environment int
		store badger
		client acme {
			name "Acme EPR"
			%s
			callback %s
			algorithms RS1 RS256
		}
		client pss {
			key pss-1 %s
			callback %s
			algorithms PS256
		}
		%s
	}
}

http://localhost:{$PORT_GATEWAY} {%s
}
%s%s`, key, callback, w.key.Public, callback, o.global, routes.String(), sites.String(), o.sites)
}

// system is the client system acme, speaking to the named service.
func (w *world) system(service string) gateway.System {
	return gateway.System{Base: w.URL("GATEWAY", "/"+service), ID: "acme", Kid: "acme-1", Key: w.key, Sub: person}
}

// request has the payloads accepted and keeps an eye on the token: it must not be logged.
func (w *world) request(t *testing.T, s gateway.System, algorithm, rawState string, payloads ...gateway.Payload) gateway.Accepted {
	t.Helper()
	accepted := s.Request(t, algorithm, rawState, payloads...)
	w.MustNotLog(accepted.Token, payloads[0].Payload)
	return accepted
}

// refusal is an error answer that the contract describes; an empty message is not compared.
type refusal struct {
	status  int
	code    string
	message string
}

// mustRefuse holds an answer to a row of an error table and to the shape of every error.
func mustRefuse(t *testing.T, answer gateway.Answer, want refusal) {
	t.Helper()
	if answer.Status != want.status {
		t.Fatalf("status %d, want %d; body %.300s", answer.Status, want.status, answer.Body)
	}
	got := answer.Failure(t)
	if got.StatusCode != want.status || got.Error == "" || got.Message == "" || got.RequestID == "" || got.Code == "" {
		t.Errorf("not the shape of an error: %s", answer.Body)
	}
	if want.code != "" && got.Code != want.code {
		t.Errorf("code %q, want %q (%s)", got.Code, want.code, got.Message)
	}
	if want.message != "" && got.Message != want.message {
		t.Errorf("message\n  %q, want\n  %q", got.Message, want.message)
	}
	if kind := answer.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		t.Errorf("an error of type %q", kind)
	}
}
