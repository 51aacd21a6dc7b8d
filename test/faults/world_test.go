package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

func TestMain(m *testing.M) {
	if victim := os.Getenv(victimVariable); victim != "" {
		beWriter(victim)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-faults-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = loadSigner(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// site says how a world's gateway differs from the plain one.
type site struct {
	store   string // default: badger
	agent   string // lines of the mock agent; default: a card that takes its time
	client  string // more lines of the client
	global  string // more lines of countersign
	service string // more lines of signing_service

	lying  bool // its agent may have a session fail
	silent int  // after how many looks at a session that is signing its person gives up; 0: never
}

// caddyfile is a gateway with a token service, a Signing Service that wants its tokens, and a mock agent.
func (s site) caddyfile() string {
	if s.agent == "" {
		s.agent = "delay 3ms"
	}
	if s.store == "" {
		s.store = "badger"
	}
	return fmt.Sprintf(`{
`+gateway.Options+`	countersign {
		environment int
		store %s
		client %s {
			key %s %s
			callback http://localhost:9/signed
			webhook {webhook}
			products signing
			%s
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
		webhooks {
			backoff 100ms 500ms
			timeout 2s
			poll 200ms
		}
		%s
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
	}
	handle_path /signing-service/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing-service
			access bearer
			lease 1s
			tries 100
			mock https://localhost:{$PORT_AGENT} {
				`+gateway.MutualTLS+`			}
			certificates {
				trust mock
			}
			%s
		}
	}
}

https://localhost:{$PORT_AGENT} {
`+gateway.DemandMutualTLS+`	smartcard_agent mock {
		allow_client gateway.countersign.internal
		%s
	}
}
`, s.store, clientID, kid, signer.Public, s.client, s.global, s.service, s.agent)
}

// world is a gateway, its load and its oracle.
type world struct {
	*gateway.Gateway
	t        testing.TB
	site     site
	journal  *journal
	load     *load
	receiver *receiver
	http     *http.Client
	now      func() time.Time // as the gateway has it

	origin, base, tokenURL string

	seenRequests, seenAssertions int // by the oracle
	starts                       []time.Duration

	mu          sync.Mutex
	losses      []string
	broken, put int // calls without an answer, and calls put off
}

// newWorld starts a gateway and waits until a first request has been signed.
func newWorld(t testing.TB, s site, options ...gateway.Option) *world {
	t.Helper()
	w := &world{
		t: t, site: s, journal: newJournal(t), now: time.Now,
		http: &http.Client{
			Timeout:       20 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 2 * workers},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.Cleanup(w.http.CloseIdleConnections)
	w.receiver = newReceiver(t, w)
	w.Gateway = gateway.Start(t, w.caddyfile(s), options...)
	w.MustNotLog(person, postgrestest.Password)
	w.origin = w.URL("GATEWAY", "")
	w.base, w.tokenURL = w.URL("GATEWAY", "/signing-service"), w.URL("GATEWAY", "/oauth2/token")
	return w
}

// caddyfile is a site's, with this world's receiver.
func (w *world) caddyfile(s site) string { return w.filled(s.caddyfile()) }

func (w *world) filled(caddyfile string) string {
	return strings.ReplaceAll(caddyfile, "{webhook}", w.receiver.address)
}

// lose notes that something was lost, or that a call had an answer that no fault excuses.
func (w *world) lose(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.losses = append(w.losses, fmt.Sprintf(format, args...))
}

func (w *world) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

// restart starts the gateway again, as it is or, with a Caddyfile, as it is to be, and measures how long it takes to
// be ready.
func (w *world) restart() {
	w.t.Helper()
	began := time.Now()
	w.Spawn()
	w.awaitReady(began)
}

// tally is what a world, or all worlds of a fault, have seen.
type tally struct {
	faults, requests, signed, tokens, webhooks, broken, put int
	starts                                                  []time.Duration
	losses                                                  []string
}

func (w *world) tally(faults int) tally {
	requests, assertions := w.journal.since(0, 0)
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := tally{
		faults: faults, requests: len(requests), tokens: len(assertions), webhooks: w.journal.webhooks, broken: w.broken, put: w.put,
		starts: w.starts, losses: w.losses,
	}
	for _, r := range requests {
		if s, _ := w.journal.standing(r); s == signed {
			sum.signed++
		}
	}
	return sum
}

func (t *tally) add(more tally) {
	t.faults += more.faults
	t.requests += more.requests
	t.signed += more.signed
	t.tokens += more.tokens
	t.webhooks += more.webhooks
	t.broken += more.broken
	t.put += more.put
	t.starts = append(t.starts, more.starts...)
	t.losses = append(t.losses, more.losses...)
}

func (t tally) String() string {
	text := fmt.Sprintf("%d faults; acknowledged: %d requests, %d completions, %d access tokens; webhooks taken: %d; calls without an answer %d, put off %d; lost: %d",
		t.faults, t.requests, t.signed, t.tokens, t.webhooks, t.broken, t.put, len(t.losses))
	if n := len(t.starts); n > 0 {
		slices.Sort(t.starts)
		text += fmt.Sprintf("; ready after %s (median), %s (at most)",
			t.starts[n/2].Round(time.Millisecond), t.starts[n-1].Round(time.Millisecond))
	}
	return text
}

// fail has the test fail for every loss, but says it no more than ten times.
func (t tally) fail(tb testing.TB) {
	tb.Helper()
	for i, loss := range t.losses {
		if i == 10 {
			tb.Errorf("… and %d more", len(t.losses)-i)
			return
		}
		tb.Error(strings.TrimSpace(loss))
	}
}
