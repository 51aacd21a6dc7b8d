package signing

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

// reader is a smartcard.Signer with the test's card, behind a real wire.
type reader struct {
	agent *fakeAgent
	sign  func(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error // nil: well
}

func (r *reader) Sign(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
	if err := out.Certificate(r.agent.card); err != nil {
		return err
	}
	if r.sign != nil {
		return r.sign(ctx, job, out)
	}
	for _, p := range job.Payloads {
		if err := out.Signature(p.ID, signPayload(r.agent, cardKey(), job.Algorithm, p.Payload)); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) Health(context.Context) (smartcard.Health, error) {
	return smartcard.Health{Ready: true}, nil
}

// behindTLS makes a world whose agent is asked over mutual TLS, as a gateway asks one.
func behindTLS(t *testing.T, r *reader) *world {
	t.Helper()
	r.agent = newFakeAgent(t)
	server, err := smartcard.NewServer(smartcard.ServerOptions{Signer: r, AllowClients: []string{"gateway.example"}, Users: []string{"5550*"}})
	if err != nil {
		t.Fatal(err)
	}
	ca := smartcardtest.NewCA(t)
	agent, err := smartcard.NewAgent(smartcard.AgentOptions{
		URL:       smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, server),
		Transport: smartcardtest.Transport(t, ca, ca.Leaf(t, "gateway.example")),
		Idle:      patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(o *Options) {
		o.Mock = &Route{Name: "reader", Agent: agent}
		o.Trust = Trust{Mock: r.agent.ca.certificate}
	})
}

func TestSigningOverTheWire(t *testing.T) {
	w := behindTLS(t, &reader{})
	for _, n := range []int{1, 25, 250} {
		w.clock.advance(time.Second)
		seen, ticket := w.ran(RS256, n)
		if seen.State != StateSigned || len(read[Response](t, w.fetch(ticket.Token)).Signatures) != n {
			t.Errorf("%d items: it is %+v", n, seen)
		}
	}
	if _, err := w.Mock.Agent.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

// A cancelled run reaches the card: the agent is told before its next item.
func TestCancelReachesTheCard(t *testing.T) {
	began, stopped := make(chan struct{}), make(chan struct{})
	w := behindTLS(t, &reader{sign: func(ctx context.Context, _ smartcard.Job, _ *smartcard.Stream) error {
		close(began)
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	}})
	b, ticket := w.opened(RS256, 3, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	<-began
	mustBe(t, b.cancel(), http.StatusOK)
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("the card goes on")
	}
	mustRefuse(t, w.fetch(ticket.Token), refused{410, "cancelled", ""})
}

// What a broken or lying agent sends is never released, and is told apart.
func TestHostileAnswersOverTheWire(t *testing.T) {
	all := func(job smartcard.Job, out *smartcard.Stream, r *reader) {
		for _, p := range job.Payloads {
			_ = out.Signature(p.ID, signPayload(r.agent, cardKey(), job.Algorithm, p.Payload))
		}
	}
	var r *reader
	for name, c := range map[string]struct {
		sign   func(context.Context, smartcard.Job, *smartcard.Stream) error
		state  State
		reason string
	}{
		"no done line": {func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
			all(job, out, r)
			return smartcard.ErrEnded
		}, StateOpened, smartcard.CodeGarbage},
		"reset": {func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
			all(job, out, r)
			return smartcard.ErrReset
		}, StateOpened, smartcard.CodeUnreachable},
		"garbage": {func(_ context.Context, _ smartcard.Job, out *smartcard.Stream) error {
			_ = out.Line([]byte("garbage\n"))
			return smartcard.ErrEnded
		}, StateOpened, smartcard.CodeGarbage},
		"an item more": {func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
			all(job, out, r)
			_ = out.Line([]byte(`{"id":"other","signature":"AAAA"}` + "\n"))
			return smartcard.ErrEnded
		}, StateFailed, smartcard.CodeMismatch},
		"an item missing": {func(_ context.Context, _ smartcard.Job, out *smartcard.Stream) error {
			_ = out.Line([]byte(`{"done":true,"signed":3,"failed":0}` + "\n"))
			return smartcard.ErrEnded
		}, StateFailed, smartcard.CodeMismatch},
		"no card": {func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
			return out.Fail(job.Payloads[0].ID, smartcard.Failure{Code: "0x53494705", Message: "No smartcard in the reader"})
		}, StateOpened, smartcard.CodeNoCard},
	} {
		t.Run(name, func(t *testing.T) {
			r = &reader{sign: c.sign}
			w := behindTLS(t, r)
			seen, ticket := w.ran(RS256, 3)
			if seen.State != c.state || seen.Reason == nil || seen.Reason.Code != c.reason {
				t.Errorf("it is %s because of %+v", seen.State, seen.Reason)
			}
			if got := w.fetch(ticket.Token); got.Code == http.StatusOK {
				t.Errorf("released: %s", got.Body)
			}
		})
	}
	t.Run("another user than the agent serves", func(t *testing.T) {
		w := behindTLS(t, &reader{})
		ticket := w.accept(sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "sub", "555186689106")), "")
		b := visit(t, w.Service, ticket.RedirectURI)
		b.open(ticket.RedirectURI)
		b.sign()
		if seen := b.settled(); seen.State != StateOpened || seen.Reason.Code != smartcard.CodeNoCard {
			t.Errorf("it is %s because of %+v", seen.State, seen.Reason)
		}
	})
}
