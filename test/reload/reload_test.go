package reload_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	reloads = 100
	callers = 4 // of each gateway at one time
)

// bare is a Caddy without anything of ours, for comparison.
const bare = `{
	auto_https off
	grace_period 5s
	default_bind 127.0.0.1
}

http://localhost:{$PORT_BARE} {
	respond "taken"
}
`

// TestReloadsUnderLoad reloads a hundred times, a third each with the same, a changed and a broken configuration,
// while client systems ask and people sign. Nothing that was acknowledged is lost, nothing is answered 5xx, every
// open session goes on, callers meet broken connections no more often than a bare Caddy's do, and nothing is left
// behind.
func TestReloadsUnderLoad(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0") // a port that no configuration can have
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	plain := site{agent: "delay 10ms"}
	changed := plain
	changed.clients = fmt.Sprintf(anotherClient, keyFile)
	changed.service = "sign_within 20m\n\t\t\ttries 50\n\t\t\tclock_skew 2m"
	refused := breakages(plain, taken.Addr())

	g := gateway.Start(t, plain.caddyfile())
	other := gateway.Start(t, bare)
	g.MustNotLog(person)
	base := g.URL("GATEWAY", "/main")
	ours, theirs := &meter{}, &meter{}

	warm := newSystem("warm", "acme", base, ours.caller())
	if _, err := complete(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	held := hold(t, 6, base, ours)
	mustLoad(t, g, plain.caddyfile())
	goroutines, files := settled(g)

	var mu sync.Mutex
	var done []*asked
	systems := make([]*system, callers)
	for who := range systems {
		systems[who] = newSystem(fmt.Sprint("caller", who), "acme", base, ours.caller())
	}
	signers := gather(t, callers, func(ctx context.Context, who int) error {
		a, err := complete(ctx, systems[who])
		if err == nil {
			mu.Lock()
			done = append(done, a)
			mu.Unlock()
		}
		return err
	})
	body := strings.Repeat("x", 2000)
	visitors := make([]*http.Client, callers)
	for who := range visitors {
		visitors[who] = theirs.caller()
	}
	strangers := gather(t, callers, func(ctx context.Context, who int) error {
		return post(ctx, visitors[who], other.URL("BARE", "/"), body)
	})

	reloadMany(t, g, other, plain, changed, refused)
	signers.disperse()
	strangers.disperse()

	t.Logf("gateway: %s; bare Caddy: %s; %d requests signed", ours, theirs, len(done))
	if len(done) < reloads/4 {
		t.Errorf("only %d requests were signed meanwhile: that is no load", len(done))
	}
	for _, fault := range append(ours.faults, theirs.faults...) {
		t.Error(fault)
	}
	// In a loop as tight as this one bare Caddy itself loses about one connection in a hundred.
	if allowed := ours.allowed(theirs); float64(ours.broken) > allowed {
		t.Errorf("%d connections broke; at most %.0f may, going by bare Caddy", ours.broken, allowed)
	}
	for _, a := range done {
		if err := warm.fetched(t.Context(), a); err != nil {
			t.Errorf("a request that was acknowledged is lost: %v", err)
		}
	}
	for _, h := range held {
		if err := h.finish(t.Context()); err != nil {
			t.Errorf("a session that was open before the reloads: %v", err)
		}
		h.system.HTTP.CloseIdleConnections()
	}
	for _, s := range append(systems, warm) {
		s.HTTP.CloseIdleConnections()
	}
	mustLoad(t, g, plain.caddyfile()) // as before the count at the beginning, for it ends the connections to the agent
	mustNotLeak(t, g, goroutines, files)
}

// breakages are configurations that must be refused, each at another stage.
func breakages(plain site, taken net.Addr) map[string]site {
	broken := map[string]site{}
	add := func(stage string, spoil func(*site)) {
		s := plain
		s.clients = fmt.Sprintf(anotherClient, keyFile)
		spoil(&s)
		broken[stage] = s
	}
	add("syntax", func(s *site) { s.service = "no_such_option" })
	add("meaning", func(s *site) { s.clients = "client keyless {\n\t\t\tcallback http://localhost:9/signed\n\t\t}" })
	add("secret", func(s *site) { s.service = "status_key {file./nowhere/status.key}" })
	add("another module", func(s *site) { s.more = "https://localhost:1 {\n\ttls /nowhere/cert.pem /nowhere/key.pem\n}\n" })
	add("start", func(s *site) {
		_, port, _ := net.SplitHostPort(taken.String())
		s.more = "http://localhost:" + port + " {\n\trespond \"never\"\n}\n"
	})
	return broken
}

// reloadMany reloads both gateways at the same pace, and looks after each reload whose configuration is in force: the
// changed one has a client more.
func reloadMany(t *testing.T, g, other *gateway.Gateway, plain, changed site, refused map[string]site) {
	t.Helper()
	stages := []string{"syntax", "meaning", "secret", "another module", "start"}
	// A connection for each request: one that is kept may go on with the configuration before for a moment.
	through := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	stranger := newSystem("stranger", "other", g.URL("GATEWAY", "/main"), through)
	current := plain
	for n := range reloads {
		if n%3 == 1 {
			if current = changed; n%2 == 0 {
				current = plain
			}
		}
		if n%3 == 2 {
			stage := stages[n/3%len(stages)]
			mustRefuse(t, g, refused[stage].caddyfile())
			mustRefuse(t, other, strings.Replace(bare, "respond", "no_such_directive", 1))
		} else {
			mustLoad(t, g, current.caddyfile())
			mustLoad(t, other, bare)
		}
		_, err := stranger.ask(t.Context())
		var answered *client.Error
		switch known := current.clients != ""; {
		case known && err != nil:
			t.Fatalf("reload %d: a client of the configuration in force: %v", n, err)
		case !known && (!errors.As(err, &answered) || answered.Code != "kid"):
			t.Fatalf("reload %d: a client that the configuration in force has not: %v", n, err)
		}
	}
}

func mustLoad(t *testing.T, g *gateway.Gateway, caddyfile string) {
	t.Helper()
	if err := g.TryReload(caddyfile); err != nil {
		t.Fatalf("a good configuration was refused: %v", err)
	}
}

// mustRefuse hands over a configuration that may not be taken; what the operator is told contains every one of the
// texts.
func mustRefuse(t *testing.T, g *gateway.Gateway, caddyfile string, texts ...string) {
	t.Helper()
	err := g.TryReload(caddyfile)
	if err == nil {
		t.Fatal("a broken configuration was taken")
	}
	if len(texts) > 0 {
		t.Logf("the operator is told: %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the operator is told\n  %v\nwithout %q", err, text)
		}
	}
}

// complete has one request signed by its person and fetches the signatures.
func complete(ctx context.Context, s *system) (*asked, error) {
	a, err := s.ask(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	v, err := open(ctx, s.HTTP, a)
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	if err := v.sign(ctx); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if err := s.fetched(ctx, a); err != nil {
		return nil, fmt.Errorf("fetching: %w", err)
	}
	return a, nil
}

// heldSession is one that was opened, or only asked for, before the reloads and goes on after them.
type heldSession struct {
	*asked
	system *system
	visit  *visit
}

func hold(t *testing.T, n int, base string, m *meter) []heldSession {
	t.Helper()
	var held []heldSession
	for i := range n {
		s := newSystem(fmt.Sprint("held", i), "acme", base, m.caller())
		a, err := s.ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h := heldSession{asked: a, system: s}
		if i%2 == 0 {
			if h.visit, err = open(t.Context(), s.HTTP, a); err != nil {
				t.Fatal(err)
			}
		}
		held = append(held, h)
	}
	return held
}

func (h heldSession) finish(ctx context.Context) (err error) {
	s := h.system
	ticket, err := s.send(ctx, h.jwt)
	if err == nil && ticket != h.ticket {
		err = errors.New("its JWT gives another token now")
	}
	if err == nil && h.visit == nil {
		h.visit, err = open(ctx, s.HTTP, h.asked)
	}
	if err == nil {
		err = h.visit.sign(ctx)
	}
	if err == nil {
		err = s.fetched(ctx, h.asked)
	}
	return err
}

// post sends a body to the bare Caddy until it answers.
func post(ctx context.Context, through *http.Client, address, body string) error {
	return insist(ctx, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "text/plain")
		response, err := through.Do(request)
		if err != nil {
			return fmt.Errorf("%w: %w", client.ErrUnreachable, err)
		}
		return response.Body.Close()
	})
}
