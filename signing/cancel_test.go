package signing

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// turnstile is a store that stops the calls of one marked request, and of the run that it begins, before the n-th of
// them, until it is told to let them on.
type turnstile struct {
	store.Store
	mu      sync.Mutex
	n, seen int
	stopped chan struct{} // is closed when it has stopped one
	letOn   chan struct{}
}

type markKey struct{}

// arm stops the n-th call from now on.
func (t *turnstile) arm(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n, t.seen, t.stopped, t.letOn = n, 0, make(chan struct{}), make(chan struct{})
}

func (t *turnstile) pass(ctx context.Context) {
	if ctx.Value(markKey{}) == nil {
		return
	}
	t.mu.Lock()
	t.seen++
	stop := t.seen == t.n
	stopped, letOn := t.stopped, t.letOn
	t.mu.Unlock()
	if stop {
		close(stopped)
		<-letOn
	}
}

func (t *turnstile) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	t.pass(ctx)
	return t.Store.Get(ctx, keys...)
}

func (t *turnstile) Commit(ctx context.Context, batch store.Batch) error {
	t.pass(ctx)
	return t.Store.Commit(ctx, batch)
}

// countedRunner knows when its runs are over.
type countedRunner struct {
	of   Runner
	runs sync.WaitGroup
}

func (c *countedRunner) Run(job func(context.Context)) error {
	c.runs.Add(1)
	err := c.of.Run(func(ctx context.Context) { defer c.runs.Done(); job(ctx) })
	if err != nil {
		c.runs.Done()
	}
	return err
}

// outcomes keeps what an audit log is told of each session.
type outcomes struct {
	mu   sync.Mutex
	told map[string][]string
}

func (o *outcomes) Record(_ context.Context, record AuditRecord) (client.AuditEntry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.told == nil {
		o.told = map[string][]string{}
	}
	o.told[record.Session] = append(o.told[record.Session], record.Outcome)
	return client.AuditEntry{}, nil
}

func (*outcomes) Err() error { return nil }

func (o *outcomes) of(session string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[session]
}

// cancelling is a service over a turnstile, with either way to a card.
type cancelling struct {
	*world
	gate  *turnstile
	runs  *countedRunner
	audit *outcomes
	card  []byte // of the person whose agent is on their own machine
}

func newCancelling(t *testing.T, local bool) *cancelling {
	t.Helper()
	c := &cancelling{audit: &outcomes{}}
	change := func(o *Options) {
		c.gate = &turnstile{Store: o.Store}
		c.runs = &countedRunner{of: o.Runner}
		o.Store, o.Runner, o.Auditor, o.Tries = c.gate, c.runs, c.audit, 2
		o.Durations.Heartbeat, o.Durations.Lease = time.Hour, 4*time.Hour // a run is to notice by itself
	}
	if local {
		c.world, c.card = newLocalWorld(t, change)
	} else {
		c.world = newWorld(t, change)
	}
	return c
}

// request keeps a new session, without the trouble of a signed request, and opens its page.
func (c *cancelling) request() (*browser, string) {
	c.Helper()
	token, now := uuid.New(), c.clock.Now()
	fresh := &session{
		ID: sessionID(token), Client: acme, Sub: person, Algorithm: RS256, State: StateCreated,
		Created: now, Deadline: now.Add(c.Durations.Sign), Total: 2,
	}
	items := []item{{ID: "rx-1", Payload: signedInfo(RS256, "1")}, {ID: "rx-2", Payload: signedInfo(RS256, "2")}}
	gone := fresh.Deadline.Add(c.Durations.Lease + c.Durations.Result)
	known := store.Record{Key: "request/" + token.String(), Value: []byte("{}"), Expires: gone}
	if err := c.sessions.create(c.Context(), fresh, items, gone, known); err != nil {
		c.Fatal(err)
	}
	address := baseURL + "/client?token=" + token.String()
	b := visit(c, c.Service, address)
	mustBe(c, b.open(address), http.StatusOK)
	return b, token.String()
}

// failOnce lets one run end with a reason.
func (c *cancelling) failOnce(b *browser, code string) {
	c.Helper()
	c.agent.fails(&smartcard.Error{Code: code})
	mustBe(c, b.sign(), http.StatusAccepted)
	if b.view.Order != nil {
		mustBe(c, b.call("/client/answer", map[string]any{"id": b.view.ID, "job": b.view.Order.Job, "failure": code}), http.StatusOK)
	}
	b.settled()
	c.agent.does(nil)
}

func (c *cancelling) signAll(b *browser) {
	c.Helper()
	mustBe(c, b.sign(), http.StatusAccepted)
	if b.view.Order != nil {
		mustBe(c, b.call("/client/answer", c.answerOf(b)), http.StatusOK)
	}
	b.settled()
}

// answerOf is what the page posts of a run that it carried out, or of none.
func (c *cancelling) answerOf(b *browser) map[string]any {
	if b.view.Order == nil {
		return map[string]any{"id": b.view.ID, "job": uuid.NewString(), "failure": smartcard.CodeNoCard}
	}
	return map[string]any{"id": b.view.ID, "job": b.view.Order.Job, "certificate": c.card, "signatures": signed(c.TB, b.view.Order)}
}

// standings are the states in which a page may be, and how it gets there.
var standings = []struct {
	name  string
	enter func(*cancelling, *browser)
	local bool // only where the page drives the agent
}{
	{"opened", func(*cancelling, *browser) {}, false},
	{"given back", func(c *cancelling, b *browser) { c.failOnce(b, smartcard.CodeNoCard) }, false},
	{"signing", func(c *cancelling, b *browser) { mustBe(c, b.sign(), http.StatusAccepted) }, true},
	{"signed", func(c *cancelling, b *browser) { c.signAll(b) }, false},
	{"failed", func(c *cancelling, b *browser) {
		c.failOnce(b, smartcard.CodeNoCard)
		c.failOnce(b, smartcard.CodeNoCard)
	}, false},
	{"cancelled", func(c *cancelling, b *browser) { mustBe(c, b.cancel(), http.StatusOK) }, false},
	{"expired", func(c *cancelling, b *browser) { c.clock.advance(c.Durations.Sign) }, false},
}

// pageCalls are what may be under way when the person cancels.
var pageCalls = []struct {
	name string
	make func(*cancelling, *browser) *http.Request
}{
	{"open", func(_ *cancelling, b *browser) *http.Request {
		return b.request("/client/open", map[string]any{"id": b.view.ID})
	}},
	{"session", func(_ *cancelling, b *browser) *http.Request { return newPath("/client/session?id=" + b.view.ID) }},
	{"sign", func(_ *cancelling, b *browser) *http.Request {
		return b.request("/client/sign", map[string]any{"id": b.view.ID})
	}},
	{"keep", func(c *cancelling, b *browser) *http.Request {
		return b.request("/client/keep", map[string]any{"id": b.view.ID, "job": c.answerOf(b)["job"]})
	}},
	{"answer", func(c *cancelling, b *browser) *http.Request { return b.request("/client/answer", c.answerOf(b)) }},
	{"answer of a failure", func(c *cancelling, b *browser) *http.Request {
		return b.request("/client/answer", map[string]any{"id": b.view.ID, "job": c.answerOf(b)["job"], "failure": smartcard.CodeWrongPIN})
	}},
	{"cancel", func(_ *cancelling, b *browser) *http.Request {
		return b.request("/client/cancel", map[string]any{"id": b.view.ID})
	}},
}

// A cancel at any moment counts: in each state, before each step that any call under way takes in the store, and with
// each call at any of the cancel's own steps. Once the service has said that a request is cancelled, no card is asked
// any more, nothing is released, and nothing says otherwise; and it says so unless the request was over before.
func TestCancelAtAnyMoment(t *testing.T) {
	for _, way := range []string{"a card behind an agent", "the person's own machine"} {
		local := way != "a card behind an agent"
		for _, standing := range standings {
			if standing.local && !local {
				continue // see TestCancelWhileSigning: such a run waits for its agent
			}
			t.Run(way+"/"+standing.name, func(t *testing.T) {
				c := newCancelling(t, local)
				for _, call := range pageCalls {
					for n := 1; c.race(standing.enter, call.make, n, false, fmt.Sprintf("cancelled before step %d of %s", n, call.name)); n++ {
					}
					for n := 1; c.race(standing.enter, call.make, n, true, fmt.Sprintf("%s before step %d of the cancel", call.name, n)); n++ {
					}
				}
			})
		}
	}
}

// race has one of a call and a cancel stop before its n-th step, and the other done meanwhile. It returns false when the
// one that is to stop has fewer steps.
func (c *cancelling) race(enter func(*cancelling, *browser), call func(*cancelling, *browser) *http.Request, n int, cancelStops bool, what string) bool {
	c.Helper()
	c.clock.advance(time.Second)
	b, token := c.request()
	enter(c, b)
	other := *b // a request's cookies come from the browser's, which is not for two at one time
	cancel, call2 := b.request("/client/cancel", map[string]any{"id": b.view.ID}), call(c, &other)
	for _, r := range []*http.Request{cancel, call2} {
		for _, cookie := range b.cookies {
			r.AddCookie(cookie)
		}
	}
	slow, quick := call2, cancel
	if cancelStops {
		slow, quick = cancel, call2
	}
	c.gate.arm(n)
	slow = slow.WithContext(context.WithValue(slow.Context(), markKey{}, true))
	answered, over := make(chan *httptest.ResponseRecorder, 1), make(chan struct{})
	go func() {
		defer close(over)
		answered <- answer(c.Service, slow)
		c.runs.runs.Wait()
	}()
	stopped := true
	select {
	case <-c.gate.stopped:
	case <-over:
		stopped = false
	}
	asked := c.agent.asked()
	quickly := answer(c.Service, quick)
	if stopped {
		close(c.gate.letOn)
	}
	<-over
	c.runs.runs.Wait()
	told := quickly
	if cancelStops {
		told, asked = <-answered, c.agent.asked()
	}
	c.judge(b, token, told, asked, what)
	return stopped
}

// judge holds what became of a session against what the one who cancelled was told.
func (c *cancelling) judge(b *browser, token string, told *httptest.ResponseRecorder, asked int, what string) {
	c.Helper()
	mustBe(c, told, http.StatusOK)
	seen, now, got := read[view](c, told), b.watch(), c.fetch(token)
	if !seen.State.Over() || now.State != seen.State {
		c.Errorf("%s: the person is told %s, and it is %s", what, seen.State, now.State)
	}
	if want := map[State]int{StateSigned: http.StatusOK}[seen.State]; want == 0 && got.Code != http.StatusGone || want != 0 && got.Code != want {
		c.Errorf("%s: it is %s, and the signatures are answered %d", what, seen.State, got.Code)
	}
	if seen.State != StateCancelled {
		return
	}
	if now := c.agent.asked(); now != asked {
		c.Errorf("%s: the agent was asked %d times after the cancel", what, now-asked)
	}
	audited := c.audit.of(now.ID)
	released, taken := slices.Contains(audited, string(StateSigned)), slices.Contains(audited, outcomeNotKept)
	if last := audited[len(audited)-1]; released != taken || last != string(StateCancelled) && last != outcomeNotKept {
		c.Errorf("%s: the audit log says %v", what, audited)
	}
}

// A cancel that comes while the store is away is refused, and counts when it is sent again: the page does so.
func TestACancelIsSentAgain(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Durations.Heartbeat, o.Durations.Lease = time.Hour, 4*time.Hour })
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 2, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	<-began
	w.store.fail(nil, func(store.Batch) error { return away() })
	mustRefuse(t, b.cancel(), refused{503, "unavailable", ""})
	w.store.fail(nil, nil)
	mustBe(t, b.cancel(), http.StatusOK)
	mustBe(t, b.cancel(), http.StatusOK)
	release <- struct{}{}
	await(t, "the run's end", func() bool { return strings.Contains(w.logs.String(), "outcome=lost") })
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "cancelled", ""})
}
