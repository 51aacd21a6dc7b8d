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

// What an agent's errors make of a session (SIG-2.14, SIG-2.15).
func TestAgentErrors(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		err    error
		state  State
		reason string
		counts bool // as one of the tries: a person or a card got it wrong
	}{
		{&smartcard.Error{Code: smartcard.CodeNoCard}, StateOpened, smartcard.CodeNoCard, false},
		{&smartcard.Error{Code: smartcard.CodeWrongPIN}, StateOpened, smartcard.CodeWrongPIN, true},
		{&smartcard.Error{Code: smartcard.CodeCancelled}, StateOpened, smartcard.CodeCancelled, true},
		{&smartcard.Error{Code: smartcard.CodeUnreachable}, StateOpened, smartcard.CodeUnreachable, false},
		{&smartcard.Error{Code: smartcard.CodeTimeout}, StateOpened, smartcard.CodeTimeout, false},
		{&smartcard.Error{Code: smartcard.CodeGarbage}, StateOpened, smartcard.CodeGarbage, false},
		{&smartcard.Error{Code: smartcard.CodeRefused}, StateOpened, smartcard.CodeRefused, true},
		{&smartcard.Error{Code: smartcard.CodeRefused, Final: true}, StateFailed, smartcard.CodeRefused, false},
		{&smartcard.Error{Code: smartcard.CodeMismatch, Final: true}, StateFailed, smartcard.CodeMismatch, false},
		{errTest, StateOpened, reasonInterrupted, false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			w.agent.fails(c.err)
			w.clock.advance(time.Second)
			seen, ticket := w.ran(RS256, 2)
			if seen.State != c.state || seen.Reason == nil || seen.Reason.Code != c.reason || seen.Reason.Title == "" || seen.Reason.Text == "" {
				t.Fatalf("it is %s because of %+v", seen.State, seen.Reason)
			}
			if c.state == StateOpened {
				mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_signed", "Could not find the specified signature response"})
				left := 5
				if c.counts {
					left = 4
				}
				if !seen.Reason.Retry || seen.Marks != ".." || seen.TriesLeft != left || seen.RedirectURI != "" {
					t.Errorf("to try again, the page is told %+v", seen)
				}
				return
			}
			mustRefuse(t, w.fetch(ticket.Token), refused{410, "failed", ""})
			if seen.Reason.Retry || seen.RedirectURI != callback+"&token="+ticket.Token+"&error=server_error&error_description="+c.reason+"&error_reason="+c.reason {
				t.Errorf("failed, the page is told %+v", seen)
			}
		})
	}
}

func TestAPersonTriesAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.agent.fails(&smartcard.Error{Code: smartcard.CodeWrongPIN})
	b, ticket := w.opened(RS256, 3, "")
	b.sign()
	b.settled()
	w.agent.does(nil)
	b.sign()
	if seen := b.settled(); seen.State != StateSigned || seen.Reason != nil || seen.Signed != 3 || seen.Tries != 2 || seen.RedirectURI != callback+"&token="+ticket.Token {
		t.Errorf("it is %+v", seen)
	}
	mustBe(t, w.fetch(ticket.Token), 200)
	// What is over stays so.
	b.sign()
	b.cancel()
	if seen := b.watch(); seen.State != StateSigned || w.agent.asked() != 2 {
		t.Errorf("it is %s after %d runs", seen.State, w.agent.asked())
	}
}

func TestTheFifthTryIsTheLast(t *testing.T) {
	w := newWorld(t, nil)
	w.agent.fails(&smartcard.Error{Code: smartcard.CodeWrongPIN})
	b, ticket := w.opened(RS256, 1, "")
	for try := 1; try <= 5; try++ {
		if b.view.State != StateOpened {
			t.Fatalf("before try %d it is %s", try, b.view.State)
		}
		mustBe(t, b.sign(), http.StatusAccepted)
		b.settled()
	}
	if b.view.State != StateFailed || b.view.Reason.Code != reasonTooManyTries || !strings.Contains(b.view.Reason.Text, "The PIN was not right") {
		t.Errorf("it is %s because of %+v", b.view.State, b.view.Reason)
	}
	b.sign()
	if w.agent.asked() != 5 {
		t.Errorf("the card was asked %d times", w.agent.asked())
	}
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "failed", ""})
}

// A lease that runs out is no try: nobody got anything wrong. It does not go on for ever all the same.
func TestLostLeasesAreNoTries(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Runner, o.Durations.Sign, o.Tries = deadNode{}, 2*time.Hour, 2 })
	b, _ := w.opened(RS256, 1, "")
	for run := 1; run <= 2*runsPerTry; run++ {
		mustBe(t, b.sign(), http.StatusAccepted)
		w.clock.advance(29 * time.Second)
		if seen := b.watch(); seen.State != StateSigning || seen.TriesLeft != 1 {
			t.Fatalf("run %d: it is %+v", run, seen)
		}
		w.clock.advance(time.Second)
		b.watch()
		if run < 2*runsPerTry && (b.view.State != StateOpened || b.view.Reason.Code != reasonInterrupted || b.view.TriesLeft != 2) {
			t.Fatalf("after run %d it is %+v", run, b.view)
		}
	}
	if b.view.State != StateFailed || b.view.Reason.Code != reasonTooManyTries {
		t.Errorf("it is %s", b.view.State)
	}
}

// deadNode takes jobs and dies before it does them.
type deadNode struct{}

func (deadNode) Run(func(context.Context)) error { return nil }

func TestTwoTabsPressSign(t *testing.T) {
	w := newWorld(t, nil)
	began, release := w.agent.waits()
	b, _ := w.opened(RS256, 2, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	<-began
	mustBe(t, b.sign(), http.StatusAccepted)
	if b.view.State != StateSigning || b.view.Tries != 1 {
		t.Errorf("the second press shows %+v", b.view)
	}
	release <- struct{}{}
	if seen := b.settled(); seen.State != StateSigned || w.agent.asked() != 1 {
		t.Errorf("it is %s after %d runs", seen.State, w.agent.asked())
	}
}

func TestProgressIsSeenFromEveryNode(t *testing.T) {
	w := newWorld(t, nil)
	told, goOn := make(chan struct{}), make(chan struct{})
	w.agent.does(func(_ context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error) {
		signed(job.Payloads[2].ID)
		signed("not an item")
		close(told)
		<-goOn
		return w.agent.well(job, signed), nil
	})
	b, ticket := w.opened(RS256, 3, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	<-told
	b.at = w.restart(nil)
	await(t, "progress", func() bool { return b.watch().Signed == 1 })
	if b.view.Marks != "..s" || b.view.State != StateSigning || len(b.view.Items) != 0 {
		t.Errorf("the page is told %+v", b.view)
	}
	mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_signed", ""})
	close(goOn)
	if seen := b.settled(); seen.State != StateSigned || seen.Marks != "sss" {
		t.Errorf("it is %+v", seen)
	}
}

// Cancelling reaches the agent, from whichever node, and nothing is released.
func TestCancelWhileSigning(t *testing.T) {
	w := newWorld(t, nil)
	began, _ := w.agent.waits()
	b, ticket := w.opened(RS256, 2, "?state=x")
	b.sign()
	<-began
	b.at = w.restart(nil)
	mustBe(t, b.cancel(), 200)
	if b.view.State != StateCancelled || b.view.RedirectURI != callback+"&token="+ticket.Token+"&state=x&error=access_denied&error_description=cancelled_by_person&error_reason=cancelled_by_person" {
		t.Errorf("the page is told %+v", b.view)
	}
	await(t, "the agent to be stopped", func() bool { return strings.Contains(w.logs.String(), "outcome=lost") })
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "cancelled", "The signature request has been cancelled: You cancelled this request"})
}

// Cancelling just before the outcome is kept wins; nothing is released.
func TestCancelWhileConcluding(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Durations.Heartbeat, o.Durations.Lease = time.Hour, 4*time.Hour })
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 2, "")
	b.sign()
	<-began
	concluding, goOn := make(chan struct{}), make(chan struct{})
	first := true
	w.store.fail(nil, func(store.Batch) error {
		if first {
			first = false
			close(concluding)
			<-goOn
		}
		return nil
	})
	release <- struct{}{}
	<-concluding
	w.store.fail(nil, nil)
	mustBe(t, b.cancel(), 200)
	close(goOn)
	await(t, "the run's end", func() bool { return strings.Contains(w.logs.String(), "outcome=lost") })
	if seen := b.watch(); seen.State != StateCancelled || seen.Signed != 0 {
		t.Errorf("it is %+v", seen)
	}
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "cancelled", ""})
}

// The lease is renewed while a person types a PIN, though no item arrives.
func TestTheLeaseIsKeptWhileNothingArrives(t *testing.T) {
	w := newWorld(t, nil)
	began, release := w.agent.waits()
	b, _ := w.opened(RS256, 1, "")
	b.sign()
	<-began
	for range 6 {
		w.clock.advance(11 * time.Second)
		until := w.clock.Now().Add(30 * time.Second)
		await(t, "renewal", func() bool {
			kept, _, err := w.sessions.get(t.Context(), b.view.ID)
			return err == nil && kept.Lease.Equal(until)
		})
	}
	release <- struct{}{}
	if seen := b.settled(); seen.State != StateSigned {
		t.Errorf("it is %s", seen.State)
	}
}

// A run whose lease was lost releases nothing, even when it ends well.
func TestALostLeaseReleasesNothing(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Durations.Heartbeat, o.Durations.Lease = time.Hour, 4*time.Hour })
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 1, "")
	b.sign()
	<-began
	w.clock.advance(w.Durations.Lease)
	release <- struct{}{}
	await(t, "the run's end", func() bool { return strings.Contains(w.logs.String(), "outcome=lost") })
	if seen := b.watch(); seen.State != StateExpired {
		t.Errorf("it is %s", seen.State)
	}
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "expired", ""})
}

// A run that began in time may end within one lease past the deadline, and its result is kept as long as any.
func TestTheDeadlineOfARun(t *testing.T) {
	w := newWorld(t, nil)
	began, release := w.agent.waits()
	b, ticket := w.opened(RS256, 1, "")
	w.clock.advance(30*time.Minute - time.Second)
	b.sign()
	<-began
	renewed := func(until time.Time) func() bool {
		return func() bool {
			kept, _, err := w.sessions.get(t.Context(), b.view.ID)
			return err == nil && kept.Lease.Equal(until)
		}
	}
	last := b.view.Expires.Add(30 * time.Second)
	w.clock.advance(20 * time.Second)
	await(t, "the last renewal", renewed(last))
	w.clock.advance(10 * time.Second)
	release <- struct{}{}
	if seen := b.settled(); seen.State != StateSigned {
		t.Fatalf("it is %s", seen.State)
	}
	w.clock.advance(time.Hour - time.Second)
	mustBe(t, w.fetch(ticket.Token), 200)
	w.clock.advance(time.Second)
	mustRefuse(t, w.fetch(ticket.Token), refused{404, "not_found", ""})

	b, ticket = w.opened(RS256, 1, "")
	w.clock.advance(30*time.Minute - time.Second)
	b.sign()
	<-began
	w.clock.advance(31 * time.Second)
	await(t, "the end of the run", func() bool { return strings.Contains(w.logs.String(), "outcome=lost") })
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "expired", "The signature request has expired: This request is too old"})
}
