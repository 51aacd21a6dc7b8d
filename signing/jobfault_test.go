package signing

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// A stopping service tells its runs to stop, and their sessions can be tried again at once.
func TestShutdownGivesSessionsBack(t *testing.T) {
	w := newWorld(t, nil)
	began, _ := w.agent.waits()
	b, _ := w.opened(RS256, 2, "")
	b.sign()
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.jobs.Close(ctx)
	if seen := b.watch(); seen.State != StateOpened || seen.Reason == nil || seen.Reason.Code != reasonInterrupted || !seen.Reason.Retry {
		t.Fatalf("it is %+v", seen)
	}
	mustRefuse(t, b.sign(), refused{503, "unavailable", ""})
	if seen := b.watch(); seen.State != StateOpened || seen.Tries != 0 {
		t.Errorf("refused a run, it is %+v", seen)
	}
	w.jobs = NewJobs(1)
	w.agent.does(nil)
	b.at = w.restart(nil)
	mustBe(t, b.sign(), http.StatusAccepted)
	if seen := b.settled(); seen.State != StateSigned {
		t.Errorf("after the restart it is %+v", seen)
	}
}

// Without haste a stopping service waits for its runs.
func TestShutdownWaitsForRuns(t *testing.T) {
	w := newWorld(t, nil)
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 2, "")
	b.sign()
	<-began
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		w.jobs.Close(context.Background())
	}()
	release <- struct{}{}
	<-closed
	if seen := b.watch(); seen.State != StateSigned {
		t.Errorf("it is %+v", seen)
	}
	mustBe(t, w.fetch(ticket.Token), 200)
}

func TestNoMoreRunsThanMayBe(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Runner = NewJobs(1) })
	began, release := w.agent.waits()
	first, _ := w.opened(RS256, 1, "")
	w.clock.advance(time.Second)
	second, _ := w.opened(RS256, 1, "")
	first.sign()
	<-began
	mustRefuse(t, second.sign(), refused{503, "unavailable", ""})
	if seen := second.watch(); seen.State != StateOpened || seen.Tries != 0 || seen.Reason != nil {
		t.Errorf("refused, it is %+v", seen)
	}
	release <- struct{}{}
	first.settled()
	go func() { release <- struct{}{} }()
	await(t, "room for a run", func() bool { return second.sign().Code == http.StatusAccepted })
	if seen := second.settled(); seen.State != StateSigned {
		t.Errorf("it is %s", seen.State)
	}
}

// In every state a new process finds what the old one left.
func TestRestartInEveryState(t *testing.T) {
	w := newWorld(t, nil)
	cancelled := func(b *browser) { mustBe(t, b.cancel(), 200) }
	signed := func(b *browser) {
		b.sign()
		b.settled()
	}
	for name, c := range map[string]struct {
		before func(*browser)
		state  State
		answer int
		goesOn bool
	}{
		"opened":    {func(*browser) {}, StateOpened, 404, true},
		"signed":    {signed, StateSigned, 200, false},
		"cancelled": {cancelled, StateCancelled, 410, false},
		"failed": {func(b *browser) {
			w.agent.fails(&smartcard.Error{Code: smartcard.CodeMismatch, Final: true})
			signed(b)
		}, StateFailed, 410, false},
		"given back": {func(b *browser) {
			w.agent.fails(&smartcard.Error{Code: smartcard.CodeNoCard})
			signed(b)
		}, StateOpened, 404, true},
		"signing on a node that died": {func(b *browser) {
			b.at = w.restart(func(o *Options) { o.Runner = deadNode{} })
			b.sign()
			w.clock.advance(30 * time.Second)
		}, StateOpened, 404, true},
	} {
		t.Run(name, func(t *testing.T) {
			w.clock.advance(time.Second)
			w.agent.does(nil)
			b, ticket := w.opened(RS256, 2, "")
			c.before(b)
			w.agent.does(nil)
			w.Service = w.restart(nil)
			b.at = w.Service
			if seen := b.watch(); seen.State != c.state {
				t.Fatalf("after the restart it is %s", seen.State)
			}
			mustBe(t, w.fetch(ticket.Token), c.answer)
			mustBe(t, b.sign(), http.StatusAccepted)
			if seen := b.settled(); c.goesOn != (seen.State == StateSigned && c.state != StateSigned) {
				t.Errorf("going on, it is %s", seen.State)
			}
		})
	}
	t.Run("created", func(t *testing.T) {
		w.clock.advance(time.Second)
		ticket := w.accept(w.jwt(RS256, 1), "")
		w.Service = w.restart(nil)
		mustRefuse(t, w.fetch(ticket.Token), refused{400, "not_opened", ""})
		mustBe(t, visit(t, w.Service, ticket.RedirectURI).open(ticket.RedirectURI), 200)
	})
}

// What is signed is kept as soon as the store is back, and not before.
func TestTheStoreIsAwayWhenARunEnds(t *testing.T) {
	w := newWorld(t, nil)
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 2, "")
	b.sign()
	<-began
	attempts := make(chan struct{}, 1000)
	w.store.fail(nil, func(batch store.Batch) error {
		if len(batch.Then) > 1 {
			attempts <- struct{}{}
		}
		return away()
	})
	release <- struct{}{}
	<-attempts
	<-attempts
	if seen := b.watch(); seen.State != StateSigning {
		t.Errorf("before it is kept it is %s", seen.State)
	}
	mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_signed", ""})
	w.store.fail(nil, nil)
	if seen := b.settled(); seen.State != StateSigned {
		t.Errorf("it is %+v", seen)
	}
	mustBe(t, w.fetch(ticket.Token), 200)
}

// The store can go away at each step of a run. Nothing is lost, and the person can go on.
func TestTheStoreIsAwayWithinARun(t *testing.T) {
	for name, fail := range map[string]func([]string) error{
		"its payloads cannot be read": func(keys []string) error {
			if strings.HasPrefix(keys[0], "payloads/") {
				return away()
			}
			return nil
		},
		"they are damaged": func(keys []string) error {
			if strings.HasPrefix(keys[0], "payloads/") {
				return errPacked
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			b, _ := w.opened(RS256, 2, "")
			w.store.fail(fail, nil)
			mustBe(t, b.sign(), http.StatusAccepted)
			if seen := b.settled(); seen.State != StateOpened || seen.Reason.Code != reasonInterrupted || w.agent.asked() != 0 {
				t.Errorf("it is %+v", seen)
			}
			w.store.fail(nil, nil)
			b.sign()
			if seen := b.settled(); seen.State != StateSigned {
				t.Errorf("then it is %+v", seen)
			}
		})
	}
}

func TestProgressThatCannotBeKept(t *testing.T) {
	w := newWorld(t, nil)
	told, goOn := make(chan struct{}), make(chan struct{})
	w.agent.does(func(_ context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error) {
		<-told
		signed(job.Payloads[0].ID)
		<-goOn
		return w.agent.well(job, signed), nil
	})
	b, _ := w.opened(RS256, 2, "")
	b.sign()
	w.store.fail(nil, func(store.Batch) error { return away() })
	close(told)
	await(t, "a failure", func() bool { return strings.Contains(w.logs.String(), "progress not kept") })
	w.store.fail(nil, nil)
	await(t, "progress", func() bool { return b.watch().Signed == 1 })
	close(goOn)
	if seen := b.settled(); seen.State != StateSigned {
		t.Errorf("it is %s", seen.State)
	}
}

// An agent that makes us panic interrupts one run, not the service.
func TestAPanicIsAnInterruption(t *testing.T) {
	w := newWorld(t, nil)
	w.agent.does(func(context.Context, smartcard.Job, func(string)) (*smartcard.Result, error) {
		panic("as the test wants")
	})
	if seen, _ := w.ran(RS256, 1); seen.State != StateOpened || seen.Reason.Code != reasonInterrupted {
		t.Errorf("it is %+v", seen)
	}
}

// A press whose connection breaks starts its run all the same.
func TestSigningOutlivesItsRequest(t *testing.T) {
	w := newWorld(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mustBe(t, b.do(b.request("/client/sign", map[string]string{"id": b.view.ID}).WithContext(ctx)), http.StatusAccepted)
	if seen := b.settled(); seen.State != StateSigned {
		t.Errorf("it is %s", seen.State)
	}
	mustBe(t, w.fetch(ticket.Token), 200)
}

func TestRoutes(t *testing.T) {
	first, second, mock := newFakeAgent(t), newFakeAgent(t), newFakeAgent(t)
	w := newWorld(t, func(o *Options) {
		o.Agents = []Route{{Name: "first", Users: []string{"5550*"}, Agent: first}, {Name: "second", Users: []string{"555[1-2]*", "555099*"}, Agent: second}}
		o.Mock = &Route{Name: "mock", Agent: mock}
	})
	for _, c := range []struct {
		of     session
		routes string
		mock   bool
	}{
		{session{Sub: "555086689106"}, "first", false},
		{session{Sub: "555099689106"}, "first second", false},
		{session{Sub: "555186689106"}, "second", false},
		{session{Sub: "555986689106"}, "", false},
		{session{Sub: "555086689106", Mock: true}, "mock", true},
	} {
		routes, isMock := w.routesFor(&c.of)
		var names []string
		for _, route := range routes {
			names = append(names, route.Name)
		}
		if strings.Join(names, " ") != c.routes || isMock != c.mock {
			t.Errorf("%+v goes to %q, %v", c.of, names, isMock)
		}
	}
	ticket := w.accept(sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "sub", "555986689106")), "")
	b := visit(t, w.Service, ticket.RedirectURI)
	b.open(ticket.RedirectURI)
	b.sign()
	if seen := b.watch(); seen.State != StateOpened || seen.Reason == nil || seen.Reason.Code != reasonNoAgent || seen.Tries != 0 {
		t.Errorf("without an agent for the user it is %+v", seen)
	}
}
