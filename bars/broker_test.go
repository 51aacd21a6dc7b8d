package bars_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// What cannot be had from a local receiver: names, networks and addresses that fail. Each says whose fault it is.
func TestBrokerErrors(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for name, c := range map[string]struct {
		err    error
		status int
		fault  bars.Fault
	}{
		"no such name":       {fmt.Errorf("looking up x: %w", &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), 503, bars.FaultNetwork},
		"no route":           {errors.Join(dial(syscall.EHOSTUNREACH)), 503, bars.FaultNetwork},
		"connecting is slow": {dial(context.DeadlineExceeded), 503, bars.FaultNetwork},
		"refused":            {dial(syscall.ECONNREFUSED), 503, bars.FaultReceiver},
		"reset at once":      {dial(syscall.ECONNRESET), 503, bars.FaultReceiver},
		"private address":    {fmt.Errorf("connecting: %w", outbound.ErrRefused), 503, bars.FaultProxy},
		"broken off":         {io.ErrUnexpectedEOF, 503, bars.FaultReceiver},
	} {
		call := &bars.Call{Address: &url.URL{Scheme: "https", Host: "x"}}
		b := &bars.Broker{Timeout: time.Minute, MaxBody: 10, Transport: transport(func(*http.Request) (*http.Response, error) { return nil, c.err })}
		r := httptest.NewRequest(http.MethodGet, "/Slot", nil)
		answer, err := b.RoundTrip(r.WithContext(bars.WithCall(t.Context(), call)))
		if err != nil || answer.StatusCode != c.status || call.Outcome.Code != "REC_SERVICE_UNAVAILABLE" || call.Outcome.Fault != c.fault {
			t.Errorf("%s: %v %+v", name, err, call.Outcome)
		}
	}
}

// The receiver's time ends after 32 seconds; one whose sender has gone is not answered.
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
			t.Errorf("%v %+v after %s", err, call.Outcome, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if call, _, err := send(ctx); !errors.Is(err, context.Canceled) || call.Outcome.Fault != bars.FaultSender {
			t.Errorf("%v %+v", err, call.Outcome)
		}
		b.Transport = transport(func(r *http.Request) (*http.Response, error) { // begins, and never ends
			answer := answering(200, "")
			answer.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			}))
			return answer, nil
		})
		began = time.Now()
		call, answer, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(answer.Body); err == nil || call.Outcome.Code != "REC_BROKEN_OFF" || time.Since(began) != 32*time.Second {
			t.Errorf("%v %+v after %s", err, call.Outcome, time.Since(began))
		}
		answer.Body.Close()
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }

func TestRoute(t *testing.T) {
	p := bars.NewProxy(bars.Options{
		Access: func(*http.Request) (string, error) { return "", errors.New("defect") },
		Find:   func(bars.Target) (*url.URL, *bars.Outcome) { t.Error("a target is looked up"); return nil, nil },
		Quota:  bars.NewQuota(bars.Limits{}, nil),
	})
	for path, status := range map[string]int{
		"/Appointment/..": 404, "/Appointment/.": 404, "/Appointment/%2e%2e": 404, "/Appointment/a_b": 404, "/Appointment/" + strings.Repeat("a", 65): 404,
		"/Appointment/A.b-1": 500, "/Slot": 500, "/_ping": 0, "/metadata": 0, "/_status": 401,
	} {
		call := p.Route(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
		switch {
		case status == 0 && (call.Outcome != nil || call.Answer == nil):
			t.Errorf("%s: %+v", path, call.Outcome)
		case status != 0 && (call.Outcome == nil || call.Outcome.Status != status):
			t.Errorf("%s: %+v", path, call.Outcome)
		}
	}
}
