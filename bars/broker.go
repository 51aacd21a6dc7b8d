package bars

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-dd2befc3/countersign/intake"
)

// Broker forwards requests to receivers, as an http.RoundTripper under a reverse proxy. Every failure becomes an
// answer (BAR-1.20 to BAR-1.25); it returns an error only if the sender has gone. It never sends a request twice.
type Broker struct {
	Transport http.RoundTripper // presents the proxy's certificate and trusts the receivers' chain
	Timeout   time.Duration     // until the answer has begun (its first 64 KiB), and again from there until it ends
	MaxBody   int64             // of a request, in bytes
}

// callKey is the context key of a *Call.
type callKey struct{}

// WithCall returns a context that tells a Broker where a request goes.
func WithCall(ctx context.Context, call *Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

// CallOf returns the Call that WithCall put into a context, or nil.
func CallOf(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	return call
}

// RoundTrip implements http.RoundTripper.
func (b *Broker) RoundTrip(r *http.Request) (*http.Response, error) {
	call := CallOf(r.Context())
	if call == nil || call.Address == nil {
		return nil, errors.New("broker: the request's context has no Call; use WithCall")
	}
	if r.ContentLength > b.MaxBody {
		return call.answer(r, tooLarge.With("%d bytes; %d are allowed", r.ContentLength, b.MaxBody)), nil
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(b.Timeout, func() { cancel(errTimeout) })
	end := func() { timer.Stop(); cancel(nil) }

	out := r.WithContext(ctx)
	out.URL, out.Host = call.Address, call.Address.Host
	out.Header.Del("Authorization") // the token is for the proxy only
	SendOnce(out)
	body := WatchBody(out, b.MaxBody)
	answer, err := b.Transport.RoundTrip(out)
	if err != nil {
		outcome := judgeError(ctx, err)
		switch broken := body.Broken(); {
		case OutcomeOf(broken) == nil && broken != nil && !errors.Is(context.Cause(ctx), errTimeout):
			outcome = senderGone.With("the request body broke off: %v", broken)
		case outcome.Code == TimedOut.Code && body.Awaited():
			outcome = SlowSender
		}
		end()
		return b.failed(r, call, outcome)
	}
	outcome := judge(answer)
	if outcome == nil {
		outcome = readAhead(ctx, answer)
	}
	if outcome != nil {
		_ = answer.Body.Close() // replaced, so not passed on
		end()
		if outcome.Code == senderGone.Code {
			return b.failed(r, call, outcome)
		}
		return call.instead(r, answer, outcome), nil
	}
	timer.Reset(b.Timeout)
	call.Outcome = passedOn(answer.StatusCode)
	answer.Header.Set(HeaderAnsweredBy, ByReceiver)
	answer.Body = &receiving{ReadCloser: answer.Body, call: call, ctx: ctx, end: end}
	return answer, nil
}

// failed answers a request to which no answer came, unless the sender has gone.
func (*Broker) failed(r *http.Request, call *Call, outcome *Outcome) (*http.Response, error) {
	if outcome.Code == senderGone.Code {
		call.Outcome = outcome.Named()
		return nil, context.Canceled
	}
	return call.answer(r, outcome), nil
}

// maxAhead is how many bytes of an answer are read before any are passed on.
const maxAhead = 64 << 10

// readAhead reads the beginning of an answer, so that one that breaks off or stalls there can still be replaced. It puts
// back what it reads.
func readAhead(ctx context.Context, answer *http.Response) *Outcome {
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return away(FaultReceiver, "the receiver changed the protocol, which nobody asked for", errors.New("got status 101"))
	}
	read, err := io.ReadAll(io.LimitReader(answer.Body, maxAhead))
	switch {
	case err == nil:
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(read), answer.Body), answer.Body}
		return nil
	case errors.Is(context.Cause(ctx), errTimeout):
		return TimedOut.Saying("The receiver's answer did not arrive whole before the timeout.").With("%d bytes of the answer came", len(read))
	case ctx.Err() != nil:
		return senderGone.With("the sender closed the connection")
	}
	return away(FaultReceiver, "the receiver's answer broke off", err)
}

// answer makes an answer of the proxy's own.
func (c *Call) answer(r *http.Request, outcome *Outcome) *http.Response {
	intake.TakeBack(r)
	outcome = outcome.Named()
	c.Outcome = outcome
	body := outcome.Body()
	header := http.Header{
		"Content-Type": {ContentType}, "Content-Length": {strconv.Itoa(len(body))}, "Cache-Control": {"no-store"},
		HeaderAnsweredBy: {ByProxy},
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

// instead makes an answer of the proxy's own in place of a receiver's. It keeps the receiver's Retry-After.
func (c *Call) instead(r *http.Request, theirs *http.Response, outcome *Outcome) *http.Response {
	answer := c.answer(r, outcome)
	if later := theirs.Header.Get("Retry-After"); later != "" {
		answer.Header.Set("Retry-After", later)
	}
	return answer
}

// receiving is a receiver's answer on its way to the sender. It records why it broke off.
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
