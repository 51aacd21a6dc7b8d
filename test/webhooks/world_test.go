// Package webhooks_test proves from outside, on the built binary, that client systems are told what became of their
// requests: signed, at least once with one id, whatever happens to the receiver and to the gateway.
package webhooks_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	person   = "555086689106"
	patience = 3 * time.Minute // a delivery that a killed gateway had claimed is due again after 25 s
)

// acmeKey is the client's. All tests share it, since it takes a while to make.
var acmeKey gateway.Key

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-webhooks-")
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

const template = `{
` + gateway.Options + `	metrics
	countersign {
		environment int
		store badger
		webhooks {
			backoff 100ms 1s
			%[3]s
		}
		client acme {
			key acme-1 %[1]s
			callback http://localhost:9/signed
			%[2]s
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing
			access open
			mock https://localhost:{$PORT_AGENT} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
			%[4]s
		}
	}
}

https://localhost:{$PORT_AGENT} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
		%[5]s
	}
}
`

// options say how a world differs from the plain one. Each is more lines of its block.
type options struct {
	client, service, agent string
	webhooks               string // in place of answerWithin
	secret                 string // of the client's webhook; empty: none
}

// answerWithin is how long a receiver may take. It is much more than one of these tests takes by itself, since one that
// is held up by a busy machine for longer is told again.
const answerWithin = "timeout 10s"

// world is a gateway whose client acme has a webhook, and the receiver behind it.
type world struct {
	*gateway.Gateway
	t        *testing.T
	receiver *receiver
	options  options
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{t: t, receiver: newReceiver(t), options: o}
	w.Gateway = gateway.Start(t, w.text(o))
	w.MustNotLog(person)
	t.Cleanup(w.receiver.release) // before the gateway is stopped, whom an answer that is held back would keep waiting
	return w
}

// text is the Caddyfile. Without another line the client's webhook is the receiver.
func (w *world) text(o options) string {
	if o.client == "" {
		o.client = "webhook " + w.receiver.url("/hook")
	}
	if o.secret != "" {
		o.client += " {\n secret " + o.secret + "\n}"
	}
	if o.webhooks == "" {
		o.webhooks = answerWithin
	}
	return fmt.Sprintf(template, acmeKey.Public, o.client, o.webhooks, o.service, o.agent)
}

func (w *world) system() gateway.System {
	return gateway.System{Base: w.URL("GATEWAY", "/signing"), ID: "acme", Kid: "acme-1", Key: acmeKey, Sub: person}
}

// request has a new request accepted. Its token may not be logged.
func (w *world) request(state string) gateway.Accepted {
	w.t.Helper()
	accepted := w.system().Request(w.t, "RS256", state, gateway.Payloads("RS256", 2)...)
	w.MustNotLog(accepted.Token)
	return accepted
}

// signed has a request signed to the end.
func (w *world) signed() gateway.Accepted {
	w.t.Helper()
	accepted := w.request("")
	if view := gateway.Visit(w.t, accepted.RedirectURI).SignToEnd(); view.State != "signed" {
		w.t.Fatalf("the session ended as %s, %+v", view.State, view.Reason)
	}
	return accepted
}

// command runs caddy countersign deliveries, and reads its answer.
func (w *world) command(into any, args ...string) {
	w.t.Helper()
	out, err := w.tryCommand(append(args, "--json")...)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		w.t.Fatalf("%v said %s: %v", args, out, err)
	}
}

func (w *world) tryCommand(args ...string) ([]byte, error) {
	w.t.Helper()
	args = append([]string{"countersign", "deliveries"}, args...)
	return gateway.Run(nil, gateway.Binary(w.t), append(args, "--address", "localhost:"+w.Port("ADMIN"))...)
}

// report is what the command tells of a delivery.
type report struct {
	ID, Client, State, Type, Why string
	Attempts                     int
	Last                         struct {
		Outcome, Detail string
		Status          int
	}
}

// list are the deliveries in a state.
func (w *world) list(state string) []report {
	w.t.Helper()
	var list struct{ Deliveries []report }
	w.command(&list, "list", "--state", state)
	return list.Deliveries
}

// await waits until so many deliveries are in a state, and returns them.
func (w *world) await(state string, n int) []report {
	w.t.Helper()
	var found []report
	if !gateway.Eventually(patience, func() bool { found = w.list(state); return len(found) == n }) {
		w.t.Fatalf("%d deliveries are %s, want %d: %+v", len(found), state, n, found)
	}
	return found
}

// metric is one sample of the gateway's metrics.
func (w *world) metric(sample string) string {
	w.t.Helper()
	answer := gateway.Get(w.t, w.URL("ADMIN", "/metrics"), nil)
	if answer.Status != http.StatusOK {
		w.t.Fatalf("/metrics answers %d", answer.Status)
	}
	for line := range strings.Lines(string(answer.Body)) {
		if rest, found := strings.CutPrefix(line, sample+" "); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
