package bars

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/intake"
)

// Broker sends requests on to their receivers, as an http.RoundTripper below a reverse proxy. Whatever goes wrong
// becomes an answer, as BAR-1.20 to BAR-1.25 have it, so that it returns an error only where the sender
// has gone. It never sends a request twice by itself.
type Broker struct {
	Transport http.RoundTripper // with the proxy's certificate, and the chain that receivers are held to
	Timeout   time.Duration     // until the answer has begun, and then once more until it has ended
	MaxBody   int64             // bytes of a request
}

// callKey is the context's key of a *Call.
type callKey struct{}

// WithCall is a context in which a Broker knows where a request goes.
func WithCall(ctx context.Context, call *Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

// CallOf finds what WithCall put into a context; nil where there is none.
func CallOf(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	return call
}

// RoundTrip implements http.RoundTripper.
func (b *Broker) RoundTrip(r *http.Request) (*http.Response, error) {
	call := CallOf(r.Context())
	if call == nil || call.Address == nil {
		return nil, errors.New("a request without a call came to the broker")
	}
	if r.ContentLength > b.MaxBody {
		return call.answer(r, tooLarge.With("%d bytes; %d are allowed", r.ContentLength, b.MaxBody)), nil
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(b.Timeout, func() { cancel(errTimeout) })
	end := func() { timer.Stop(); cancel(nil) }

	out := r.WithContext(ctx)
	out.URL, out.Host = call.Address, call.Address.Host
	out.Header.Del("Authorization") // the token is for the proxy alone
	var body *sending
	if r.Body != nil && r.Body != http.NoBody {
		body = &sending{ReadCloser: r.Body, left: b.MaxBody}
		out.Body = body
	}
	answer, err := b.Transport.RoundTrip(out)
	if err != nil {
		outcome := judgeError(ctx, err)
		switch complete, broken := body.state(); {
		case OutcomeOf(broken) == nil && broken != nil && !errors.Is(context.Cause(ctx), errTimeout):
			outcome = senderGone.With("its body broke off: %v", broken)
		case outcome.Code == timedOut.Code && !complete:
			outcome = slowSender
		}
		end()
		if outcome.Code == senderGone.Code {
			call.Outcome = outcome
			return nil, context.Canceled
		}
		return call.answer(r, outcome), nil
	}
	if outcome := judge(answer); outcome != nil {
		_ = answer.Body.Close() // what it says is not passed on
		end()
		return call.instead(r, answer, outcome), nil
	}
	timer.Reset(b.Timeout)
	call.Outcome = passedOn(answer.StatusCode)
	answer.Body = &receiving{ReadCloser: answer.Body, call: call, ctx: ctx, end: end}
	return answer, nil
}

// answer is an answer of the proxy's own.
func (c *Call) answer(r *http.Request, outcome *Outcome) *http.Response {
	intake.TakeBack(r)
	c.Outcome = outcome
	body := outcome.Body()
	header := http.Header{
		"Content-Type": {ContentType}, "Content-Length": {strconv.Itoa(len(body))}, "Cache-Control": {"no-store"},
	}
	Echo(header, r)
	answer := &http.Response{
		Status: strconv.Itoa(outcome.Status) + " " + http.StatusText(outcome.Status), StatusCode: outcome.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
	if r.Method == http.MethodHead {
		answer.Body = http.NoBody
	}
	return answer
}

// instead is an answer of the proxy's own in the place of a receiver's, which may say when to try again.
func (c *Call) instead(r *http.Request, theirs *http.Response, outcome *Outcome) *http.Response {
	answer := c.answer(r, outcome)
	if later := theirs.Header.Get("Retry-After"); later != "" {
		answer.Header.Set("Retry-After", later)
	}
	return answer
}

// sending is a request's body on its way to the receiver.
type sending struct {
	io.ReadCloser
	left int64

	mu  sync.Mutex
	end error // io.EOF once all of it was read, or what it broke off with
}

// Read implements io.Reader.
func (s *sending) Read(into []byte) (int, error) {
	n, err := s.ReadCloser.Read(into)
	if s.left -= int64(n); s.left < 0 {
		n, err = 0, tooLarge.With("more than is allowed, which its header did not say")
	}
	if err != nil {
		s.mu.Lock()
		s.end = err
		s.mu.Unlock()
	}
	return n, err
}

// state says whether the sender has sent its whole body, so that it is the receiver who is waited for, or else what
// the body broke off with, if it did.
func (s *sending) state() (complete bool, broken error) {
	if s == nil {
		return true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.end, io.EOF) {
		return true, nil
	}
	return false, s.end
}

// receiving is a receiver's answer on its way to the sender. It notes where that breaks off.
type receiving struct {
	io.ReadCloser
	call *Call
	ctx  context.Context //nolint:containedctx // the exchange's own, which ends with this body
	end  func()
}

// Read implements io.Reader.
func (r *receiving) Read(into []byte) (int, error) {
	n, err := r.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		r.call.Outcome = brokenOff.With("%v", err)
		if r.ctx.Err() != nil && !errors.Is(context.Cause(r.ctx), errTimeout) {
			r.call.Outcome = senderGone.With("%v", err)
		}
	}
	return n, err
}

// Close implements io.Closer.
func (r *receiving) Close() error {
	err := r.ReadCloser.Close()
	r.end()
	return err
}
