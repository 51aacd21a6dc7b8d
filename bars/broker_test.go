package bars_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// Failures that a local receiver cannot produce, or not reliably, with whose fault each is and what the log says.
func TestBrokerErrors(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	shown := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	const code = "REC_SERVICE_UNAVAILABLE"
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
		fault  bars.Fault
		says   string
	}{
		"no such name":        {fmt.Errorf("looking up x: %w", &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), 503, code, bars.FaultNetwork, "cannot resolve"},
		"no route":            {errors.Join(dial(syscall.EHOSTUNREACH)), 503, code, bars.FaultNetwork, "cannot connect"},
		"no route any more":   {&net.OpError{Op: "write", Err: syscall.EHOSTUNREACH}, 503, code, bars.FaultNetwork, "cannot connect"},
		"no network any more": {&net.OpError{Op: "read", Err: syscall.ENETUNREACH}, 503, code, bars.FaultNetwork, "cannot connect"},
		"connecting is slow":  {dial(context.DeadlineExceeded), 503, code, bars.FaultNetwork, "cannot connect"},
		"the handshake is":    {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 408, "REC_TIMEOUT", bars.FaultReceiver, "timeout"},
		"refused":             {dial(syscall.ECONNREFUSED), 503, code, bars.FaultReceiver, "refused or reset"},
		"reset at once":       {dial(syscall.ECONNRESET), 503, code, bars.FaultReceiver, "refused or reset"},
		"private address":     {fmt.Errorf("connecting: %w", outbound.ErrRefused), 503, code, bars.FaultProxy, ""},
		"another name":        {shown(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}), 503, code, bars.FaultReceiver, "for another name"},
		"expired":             {shown(x509.CertificateInvalidError{Reason: x509.Expired}), 503, code, bars.FaultReceiver, "the receiver's certificate has expired"},
		"another chain":       {shown(x509.UnknownAuthorityError{}), 503, code, bars.FaultReceiver, "not from this environment's chain"},
		"no TLS":              {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, 503, code, bars.FaultReceiver, "does not speak TLS"},
		"our certificate":     {&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, 503, code, bars.FaultReceiver, "does not trust the proxy's certificate"},
		"broken off":          {io.ErrUnexpectedEOF, 503, code, bars.FaultReceiver, "the connection broke"},
		"too long a header":   {errors.New("http2: request header list larger than peer's advertised limit"), 431, "PROXY_BAD_REQUEST", bars.FaultSender, "header list"},
		"forbidden trailer":   {errors.New(`http2: invalid Trailer key "Content-Length"`), 400, "PROXY_BAD_REQUEST", bars.FaultSender, "Trailer"},
		"refused on the way":  {&bars.Outcome{Status: 413, Code: "PROXY_BAD_REQUEST", Fault: bars.FaultSender}, 413, "PROXY_BAD_REQUEST", bars.FaultSender, ""},
	} {
		call := &bars.Call{Address: &url.URL{Scheme: "https", Host: "x"}}
		b := &bars.Broker{Timeout: time.Minute, MaxBody: 10, Transport: transport(func(*http.Request) (*http.Response, error) { return nil, c.err })}
		r := httptest.NewRequest(http.MethodGet, "/Slot", nil)
		answer, err := b.RoundTrip(r.WithContext(bars.WithCall(t.Context(), call)))
		if err != nil || answer.StatusCode != c.status || call.Outcome.Code != c.code || call.Outcome.Fault != c.fault || !strings.Contains(call.Outcome.Detail, c.says) {
			t.Errorf("%s: got error %v, outcome %+v", name, err, call.Outcome)
		}
	}
}

// The receiver gets the request at its own name, without the token, with a body up to the limit, byte for byte.
func TestBrokerSends(t *testing.T) {
	const limit = 10
	for name, c := range map[string]struct {
		body   io.Reader
		status int
		broken bool
	}{
		"nothing":       {http.NoBody, 200, false},
		"the most":      {strings.NewReader(strings.Repeat("x", limit)), 200, false},
		"more":          {strings.NewReader(strings.Repeat("x", limit+1)), 413, false},
		"the most, bit": {struct{ io.Reader }{strings.NewReader(strings.Repeat("x", limit))}, 200, false},
		"more, unsaid":  {struct{ io.Reader }{strings.NewReader(strings.Repeat("x", limit+1))}, 413, false},
		"breaks off":    {readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }), 0, true},
	} {
		call := &bars.Call{Address: &url.URL{Scheme: "https", Host: "receiver.nhs.uk:8443", Path: "/r/Slot"}}
		b := &bars.Broker{Timeout: time.Minute, MaxBody: limit, Transport: transport(func(r *http.Request) (*http.Response, error) {
			if r.Host != "receiver.nhs.uk:8443" || r.URL.String() != "https://receiver.nhs.uk:8443/r/Slot" || r.Header.Get("Authorization") != "" || r.Header.Get("Accept") != "a" {
				t.Errorf("%s: got URL %s, host %s, headers %v", name, r.URL, r.Host, r.Header)
			}
			if r.Body != nil {
				if _, err := io.ReadAll(r.Body); err != nil {
					return nil, fmt.Errorf("sending: %w", err)
				}
			}
			return answering(200, "{}"), nil
		})}
		r := httptest.NewRequest(http.MethodPost, "/Slot", c.body)
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("Accept", "a")
		answer, err := b.RoundTrip(r.WithContext(bars.WithCall(t.Context(), call)))
		switch {
		case c.broken && (!errors.Is(err, context.Canceled) || call.Outcome == nil || call.Outcome.Code != "SEND_GONE" || call.Outcome.Fault != bars.FaultSender):
			t.Errorf("%s: got error %v, outcome %+v", name, err, call.Outcome)
		case !c.broken && (err != nil || answer.StatusCode != c.status):
			t.Errorf("%s: got error %v, outcome %+v", name, err, call.Outcome)
		}
	}
}

// What a receiver answers: answers replaced by the proxy, answers passed on byte for byte, and whose fault the log
// names (BAR-1.20 to BAR-1.26).
func TestBrokerAnswers(t *testing.T) {
	const outcome = `{"resourceType":"OperationOutcome","issue":[]}`
	for _, c := range []struct {
		status int
		body   string
		want   int
		codes  string // of the replacement; empty: passed on
		fault  bars.Fault
	}{
		{200, "{}", 200, "", ""}, {201, "", 201, "", ""}, {304, "", 304, "", ""},
		{400, outcome, 400, "", bars.FaultSender}, {401, outcome, 401, "", bars.FaultReceiver}, {404, "x", 404, "", bars.FaultSender},
		{405, "x", 405, "", bars.FaultSender}, {406, "x", 406, "", bars.FaultSender}, {408, outcome, 408, "", bars.FaultReceiver},
		{409, "x", 409, "", bars.FaultSender}, {422, outcome, 422, "", bars.FaultSender}, {429, "x", 429, "", bars.FaultReceiver},
		{500, outcome, 500, "", bars.FaultReceiver}, {501, "x", 501, "", bars.FaultReceiver},
		{403, outcome, 403, "forbidden REC_FORBIDDEN", bars.FaultReceiver},
		{500, "x", 500, "exception REC_SERVER_ERROR", bars.FaultReceiver},
		{503, outcome, 503, "transient REC_SERVICE_UNAVAILABLE", bars.FaultReceiver},
		{504, outcome, 408, "timeout REC_TIMEOUT", bars.FaultReceiver},
	} {
		call := &bars.Call{Address: &url.URL{Scheme: "https", Host: "x"}}
		b := &bars.Broker{Timeout: time.Minute, Transport: transport(func(*http.Request) (*http.Response, error) {
			answer := answering(c.status, c.body)
			answer.Header.Set("Retry-After", "7")
			return answer, nil
		})}
		r := httptest.NewRequest(http.MethodGet, "/Slot", nil)
		r.Header.Set("X-Request-Id", "r")
		r.Header.Set("X-Correlation-Id", "c")
		answer, err := b.RoundTrip(r.WithContext(bars.WithCall(t.Context(), call)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.want || answer.Header.Get("Retry-After") != "7" {
			t.Errorf("receiver's %d: got error %v, status %d, headers %v", c.status, err, answer.StatusCode, answer.Header)
		}
		switch found := call.Outcome; {
		case found == nil && c.fault != "", found != nil && found.Fault != c.fault:
			t.Errorf("receiver's %d: got outcome %+v for the log", c.status, found)
		case c.codes == "" && string(body) != c.body:
			t.Errorf("receiver's %d: got body %s, want it unchanged", c.status, body)
		case c.codes != "" && (found.Issue+" "+found.Code != c.codes || string(body) != string(found.Body()) ||
			answer.Header.Get("Content-Type") != "application/fhir+json" || answer.Header.Get("X-Request-Id") != "r" || answer.Header.Get("X-Correlation-Id") != "c"):
			t.Errorf("receiver's %d: got headers %v, body %s", c.status, answer.Header, body)
		}
	}
}

// A receiver has 32 seconds; a sender that has gone gets no answer.
func TestBrokerTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bars.Broker{Timeout: bars.Timeout, MaxBody: 10, Transport: transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		send := func(ctx context.Context) (*bars.Call, *http.Response, error) {
			call := &bars.Call{Address: &url.URL{Scheme: "https", Host: "x"}}
			answer, err := b.RoundTrip(httptest.NewRequest(http.MethodGet, "/Slot", nil).WithContext(bars.WithCall(ctx, call)))
			return call, answer, err
		}
		began := time.Now()
		if call, answer, err := send(t.Context()); err != nil || answer.StatusCode != 408 || call.Outcome.Fault != bars.FaultReceiver || time.Since(began) != 32*time.Second {
			t.Errorf("got error %v, outcome %+v after %s", err, call.Outcome, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if call, _, err := send(ctx); !errors.Is(err, context.Canceled) || call.Outcome.Fault != bars.FaultSender {
			t.Errorf("got error %v, outcome %+v", err, call.Outcome)
		}
		for begun, want := range map[string]string{"half": "REC_TIMEOUT", strings.Repeat("x", 64<<10): "REC_BROKEN_OFF"} { // begins and never ends
			b.Transport = transport(func(r *http.Request) (*http.Response, error) {
				answer := answering(200, "")
				answer.Body = io.NopCloser(io.MultiReader(strings.NewReader(begun), readerFunc(func([]byte) (int, error) {
					<-r.Context().Done()
					return 0, r.Context().Err()
				})))
				return answer, nil
			})
			began := time.Now()
			call, answer, err := send(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(answer.Body)
			if (err == nil) != (want == "REC_TIMEOUT") || call.Outcome.Code != want || time.Since(began) != 32*time.Second {
				t.Errorf("got error %v, outcome %+v after %s, want %s", err, call.Outcome, time.Since(began), want)
			}
			answer.Body.Close()
		}
	})
}

// Who is waited for when the time is up: a sender that stalls or drips, or a receiver that does not take what came.
func TestBrokerBlame(t *testing.T) {
	for name, c := range map[string]struct {
		body  func(ctx context.Context) io.Reader
		takes bool // whether the receiver reads
		code  string
	}{
		"sender stalls": {func(ctx context.Context) io.Reader {
			return readerFunc(func([]byte) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		}, true, "PROXY_BAD_REQUEST"},
		"sender drips": {func(context.Context) io.Reader {
			return readerFunc(func(into []byte) (int, error) { <-time.After(time.Second); into[0] = 'x'; return 1, nil })
		}, true, "PROXY_BAD_REQUEST"},
		"receiver is mute": {func(context.Context) io.Reader { return strings.NewReader("body") }, false, "REC_TIMEOUT"},
		"receiver is slow": {func(context.Context) io.Reader { return strings.NewReader("body") }, true, "REC_TIMEOUT"},
		"receiver is stuck": {func(context.Context) io.Reader {
			return readerFunc(func(into []byte) (int, error) { return len(into), nil })
		}, false, "REC_TIMEOUT"},
	} {
		synctest.Test(t, func(t *testing.T) {
			call := &bars.Call{Address: &url.URL{Scheme: "https", Host: "x"}}
			b := &bars.Broker{Timeout: bars.Timeout, MaxBody: 1 << 40, Transport: transport(func(r *http.Request) (*http.Response, error) {
				part := make([]byte, 100)
				if _, err := r.Body.Read(part); err == nil && c.takes {
					for r.Context().Err() == nil && err == nil {
						_, err = r.Body.Read(part)
					}
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
			ctx, cancel := context.WithTimeout(t.Context(), 2*bars.Timeout)
			defer cancel()
			stalled, release := context.WithTimeout(ctx, bars.Timeout+time.Millisecond)
			defer release()
			r := httptest.NewRequest(http.MethodPost, "/$process-message", c.body(stalled))
			r.ContentLength = -1
			answer, err := b.RoundTrip(r.WithContext(bars.WithCall(ctx, call)))
			if err != nil || answer.StatusCode != http.StatusRequestTimeout || call.Outcome.Code != c.code {
				t.Errorf("%s: got error %v, outcome %+v, want code %s", name, err, call.Outcome, c.code)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }

func TestRoute(t *testing.T) {
	p := bars.NewProxy(bars.Options{
		Access: func(*http.Request) (string, error) { return "", errors.New("defect") },
		Find: func(bars.Target) (*url.URL, *bars.Outcome) {
			t.Error("a target was looked up, want none")
			return nil, nil
		},
		Quota: bars.NewQuota(bars.Limits{}, nil),
	})
	for path, status := range map[string]int{
		"/Appointment/..": 404, "/Appointment/.": 404, "/Appointment/%2e%2e": 404, "/a%2f%2e%2e%2fb": 404, "/..;x/b": 404, `/a\..\b`: 404,
		"/Appointment/a_b": 500, "/Patient/1/$everything": 500, "/...": 500, "/": 500,
		"/Appointment/A.b-1": 500, "/Slot": 500, "/_ping": 0, "/metadata": 0, "/_status": 401,
	} {
		call := p.Route(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
		switch {
		case status == 0 && (call.Outcome != nil || call.Answer == nil):
			t.Errorf("%s: got outcome %+v", path, call.Outcome)
		case status != 0 && (call.Outcome == nil || call.Outcome.Status != status):
			t.Errorf("%s: got outcome %+v", path, call.Outcome)
		}
	}
}
