package smartcard_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

const gateway = "gateway.example.internal"

// signer is a smartcard.Signer made from a function.
type signer func(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error

func (s signer) Sign(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
	return s(ctx, job, out)
}

func (s signer) Health(context.Context) (smartcard.Health, error) {
	return smartcard.Health{Ready: true, Card: "present", Subject: "CN=555086689106_TEST"}, nil
}

// honest signs each payload as "signed " and the payload, last item first.
func honest(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
	if err := out.Certificate([]byte("certificate of " + job.Sub)); err != nil {
		return err
	}
	for _, p := range slices.Backward(job.Payloads) {
		if err := out.Signature(p.ID, append([]byte("signed "), p.Payload...)); err != nil {
			return err
		}
	}
	return nil
}

func newServer(t *testing.T, o smartcard.ServerOptions) *smartcard.Server {
	t.Helper()
	if o.AllowClients == nil {
		o.AllowClients = []string{gateway}
	}
	s, err := smartcard.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newAgent(t *testing.T, url string, transport http.RoundTripper) *smartcard.Agent {
	t.Helper()
	a, err := smartcard.NewAgent(smartcard.AgentOptions{URL: url, Transport: transport, Timeout: time.Minute, Idle: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// connect serves the signer and returns an agent that may call it.
func connect(t *testing.T, s smartcard.Signer) *smartcard.Agent {
	t.Helper()
	ca := smartcardtest.NewCA(t)
	url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, newServer(t, smartcard.ServerOptions{Signer: s}))
	return newAgent(t, url, smartcardtest.Transport(t, ca, ca.Leaf(t, gateway)))
}

func newJob(n int) smartcard.Job {
	job := smartcard.Job{Job: "0b5c5fd8-8a5f-4b46-8a5b-3d8de2d0a1f7", Sub: "555086689106", Client: "Acme EPR", Algorithm: smartcard.RS256}
	for i := range n {
		job.Payloads = append(job.Payloads, smartcard.Payload{ID: fmt.Sprintf("id <%d> é", i), Payload: fmt.Appendf(nil, "payload %d", i)})
	}
	return job
}

// wantCode fails unless err is an *Error with that code.
func wantCode(t *testing.T, err error, code string) *smartcard.Error {
	t.Helper()
	var e *smartcard.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want one with code %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("got code %s (%v), want %s", e.Code, err, code)
	}
	return e
}

func TestRoundTrip(t *testing.T) {
	ca := smartcardtest.NewCA(t)
	url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, newServer(t, smartcard.ServerOptions{Signer: signer(honest)}))
	for _, h2 := range []bool{false, true} {
		transport := smartcardtest.Transport(t, ca, ca.Leaf(t, gateway))
		transport.ForceAttemptHTTP2 = h2
		agent := newAgent(t, url+"/", transport)
		for _, n := range []int{1, 2, 250} {
			t.Run(fmt.Sprintf("h2=%v n=%d", h2, n), func(t *testing.T) {
				job := newJob(n)
				var heard []string
				result, err := agent.Sign(t.Context(), job, func(id string) { heard = append(heard, id) })
				if err != nil {
					t.Fatal(err)
				}
				if string(result.Certificate) != "certificate of "+job.Sub || len(result.Signatures) != n || len(heard) != n {
					t.Fatalf("got certificate %q, %d signatures, %d items reported", result.Certificate, len(result.Signatures), len(heard))
				}
				for i, p := range job.Payloads {
					if string(result.Signatures[i]) != "signed "+string(p.Payload) {
						t.Errorf("signature %d: got %q", i, result.Signatures[i])
					}
					if heard[n-1-i] != p.ID {
						t.Errorf("item %d was reported out of order", i)
					}
				}
			})
		}
	}
}

// Progress must be reported during the job, not at its end.
func TestProgressIsTimely(t *testing.T) {
	heard := make(chan struct{})
	agent := connect(t, signer(func(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
		if err := out.Certificate([]byte("c")); err != nil {
			return err
		}
		for _, p := range job.Payloads {
			if err := out.Signature(p.ID, []byte("s")); err != nil {
				return err
			}
			select {
			case <-heard:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}))
	if _, err := agent.Sign(t.Context(), newJob(3), func(string) { heard <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
}

func TestCancelReachesTheSigner(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2=%v", h2), func(t *testing.T) {
			stopped := make(chan error, 1)
			ca := smartcardtest.NewCA(t)
			url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, newServer(t, smartcard.ServerOptions{
				Signer: signer(func(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
					_ = out.Certificate([]byte("c"))
					_ = out.Signature(job.Payloads[0].ID, []byte("s"))
					<-ctx.Done()
					stopped <- out.Signature(job.Payloads[1].ID, []byte("s"))
					return ctx.Err()
				}),
			}))
			transport := smartcardtest.Transport(t, ca, ca.Leaf(t, gateway))
			transport.ForceAttemptHTTP2 = h2
			agent := newAgent(t, url, transport)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := agent.Sign(ctx, newJob(2), func(string) { cancel() })
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got error %v, want the caller's own cancellation", err)
			}
			select {
			case err := <-stopped:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("a further item after the gateway had gone: got error %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("the signer was not told of the cancellation")
			}
		})
	}
}

func TestSignersErrors(t *testing.T) {
	begin := func(out *smartcard.Stream) { _ = out.Certificate([]byte("c")) }
	tests := []struct {
		name string
		sign signer
		code string
	}{
		{"a coded error before anything", func(context.Context, smartcard.Job, *smartcard.Stream) error {
			return &smartcard.Error{Code: smartcard.CodeWrongPIN, Message: "two tries left", Final: true}
		}, smartcard.CodeWrongPIN},
		{"an error before anything", func(context.Context, smartcard.Job, *smartcard.Stream) error {
			return errors.New("broken")
		}, smartcard.CodeUnreachable},
		{"a coded error in the middle", func(_ context.Context, _ smartcard.Job, out *smartcard.Stream) error {
			begin(out)
			return &smartcard.Error{Code: smartcard.CodeWrongPIN}
		}, smartcard.CodeUnreachable},
		{"silence before anything", func(context.Context, smartcard.Job, *smartcard.Stream) error {
			return nil
		}, smartcard.CodeUnreachable},
		{"an item left out", func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
			begin(out)
			return out.Signature(job.Payloads[0].ID, []byte("s"))
		}, smartcard.CodeUnreachable},
		{"an item failed", func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
			begin(out)
			return out.Fail(job.Payloads[1].ID, smartcard.Failure{Code: "0x53494705", Message: "No \x1b[1msmartcard\u202e\n in the reader", Final: true})
		}, smartcard.CodeNoCard},
		{"an item failed for a reason of its own", func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
			return out.Fail(job.Payloads[1].ID, smartcard.Failure{Code: "E77"})
		}, smartcard.CodeRefused},
		{"reset", func(_ context.Context, _ smartcard.Job, out *smartcard.Stream) error {
			begin(out)
			return smartcard.ErrReset
		}, smartcard.CodeUnreachable},
		{"ended without done", func(_ context.Context, _ smartcard.Job, out *smartcard.Stream) error {
			begin(out)
			return smartcard.ErrEnded
		}, smartcard.CodeGarbage},
		{"a panic", func(context.Context, smartcard.Job, *smartcard.Stream) error {
			panic("of the signer")
		}, smartcard.CodeUnreachable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			result, err := connect(t, test.sign).Sign(t.Context(), newJob(2), nil)
			e := wantCode(t, err, test.code)
			if result != nil {
				t.Error("got a result and an error")
			}
			switch test.name {
			case "a coded error before anything":
				if !e.Final || e.Message != "two tries left" {
					t.Errorf("got %#v", e)
				}
			case "an item failed":
				if e.Wire != "0x53494705" || e.Item != newJob(2).Payloads[1].ID || !e.Final || e.Retryable() || e.Message != "No [1msmartcard in the reader" {
					t.Errorf("got %#v", e)
				}
			case "an item failed for a reason of its own":
				if e.Wire != "E77" || !e.Retryable() {
					t.Errorf("got %#v", e)
				}
			}
		})
	}
}

// What a Stream refuses, whatever the signer does.
func TestStreamKeepsTheWire(t *testing.T) {
	refusals := make(chan string, 16)
	agent := connect(t, signer(func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
		a := job.Payloads[0].ID
		must := func(what string, err error) {
			if err == nil {
				refusals <- what
			}
		}
		must("signature before certificate", out.Signature(a, []byte("s")))
		must("empty certificate", out.Certificate(nil))
		must("huge certificate", out.Certificate(make([]byte, smartcard.MaxCertificate+1)))
		err := out.Certificate([]byte("c"))
		must("second certificate", out.Certificate([]byte("c")))
		must("unknown id", out.Signature("unknown", []byte("s")))
		must("empty signature", out.Signature(a, nil))
		must("huge signature", out.Signature(a, make([]byte, smartcard.MaxSignature+1)))
		must("failure without code", out.Fail(a, smartcard.Failure{}))
		if err == nil {
			err = out.Signature(a, []byte("s"))
		}
		must("second signature", out.Signature(a, []byte("s")))
		must("failure after signature", out.Fail(a, smartcard.Failure{Code: "x"}))
		return err
	}))
	if _, err := agent.Sign(t.Context(), newJob(1), nil); err != nil {
		t.Error(err)
	}
	close(refusals)
	for what := range refusals {
		t.Errorf("%s: got no error", what)
	}
}

func TestBusy(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	ca := smartcardtest.NewCA(t)
	url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, newServer(t, smartcard.ServerOptions{MaxJobs: 1, Signer: signer(
		func(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
			close(entered)
			<-leave
			return honest(ctx, job, out)
		})}))
	agent := newAgent(t, url, smartcardtest.Transport(t, ca, ca.Leaf(t, gateway)))
	first := make(chan error, 1)
	go func() {
		_, err := agent.Sign(t.Context(), newJob(1), nil)
		first <- err
	}()
	<-entered
	_, err := agent.Sign(t.Context(), newJob(1), nil)
	if e := wantCode(t, err, smartcard.CodeUnreachable); e.Wire != "busy" || !e.Retryable() {
		t.Errorf("got %#v", e)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestServerTimeout(t *testing.T) {
	ca := smartcardtest.NewCA(t)
	url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, newServer(t, smartcard.ServerOptions{Timeout: 50 * time.Millisecond, Signer: signer(
		func(ctx context.Context, _ smartcard.Job, out *smartcard.Stream) error {
			_ = out.Certificate([]byte("c"))
			<-ctx.Done()
			return nil // even if it claims success
		})}))
	_, err := newAgent(t, url, smartcardtest.Transport(t, ca, ca.Leaf(t, gateway))).Sign(t.Context(), newJob(1), nil)
	wantCode(t, err, smartcard.CodeUnreachable)
}

func TestHealth(t *testing.T) {
	health, err := connect(t, signer(honest)).Health(t.Context())
	if want := (smartcard.Health{Ready: true, Card: "present", Subject: "CN=555086689106_TEST"}); err != nil || health != want {
		t.Errorf("got health %+v, error %v", health, err)
	}
}
