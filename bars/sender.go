package bars

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Defaults of a Sender (BAR-2.8, BAR-2.9).
const (
	SendTimeout = 35 * time.Second // of each attempt; the proxy takes up to 32 s
	SendTries   = 3

	firstPause = 500 * time.Millisecond // before the second attempt; doubled for each further one
	maxPause   = 5 * time.Second        // a longer Retry-After ends the attempts
)

// Sender sends an application's requests to a BaRS proxy, as an http.RoundTripper under a reverse proxy. It repeats a
// GET, with the same ids, after 408, 429, 503, 504 or no answer (BAR-5.27). It repeats a message only if configured, because a receiver
// may already have taken it. If no answer comes, it makes one.
type Sender struct {
	Transport http.RoundTripper
	Base      *url.URL      // of the API, without a trailing slash
	Timeout   time.Duration // of each attempt
	Tries     int           // attempts per repeatable request
	Messages  bool          // whether messages are repeatable

	After  func(time.Duration) <-chan time.Time // nil: time.After
	Logger *slog.Logger
}

// RoundTrip implements http.RoundTripper. A repeatable request has no body, or has GetBody.
func (s *Sender) RoundTrip(r *http.Request) (*http.Response, error) {
	again := s.mayRepeat(r)
	for try := 1; ; try++ {
		answer, err := s.once(r, try)
		if r.Context().Err() != nil { // the application has gone
			if answer != nil {
				_ = answer.Body.Close()
			}
			return nil, context.Canceled
		}
		pause, wanted := pauseAfter(answer, err, try)
		if !again || !wanted || try == s.Tries {
			if err != nil {
				outcome := notSent(err)
				s.Logger.LogAttrs(r.Context(), slog.LevelWarn, "the BaRS proxy did not answer", slog.String("fault", string(outcome.Fault)),
					slog.String("request_id", r.Header.Get(HeaderRequestID)), slog.Int("tries", try), slog.Any("error", err))
				return new(Call).answer(r, outcome), nil
			}
			return answer, nil
		}
		attributes := []slog.Attr{slog.String("request_id", r.Header.Get(HeaderRequestID)), slog.Int("try", try), slog.Duration("pause", pause)}
		if answer != nil {
			_ = answer.Body.Close() // another one will follow
			attributes = append(attributes, slog.Int("status", answer.StatusCode))
		} else {
			attributes = append(attributes, slog.Any("error", err))
		}
		s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "repeating a request to the BaRS proxy", attributes...)
		if err := s.wait(r.Context(), pause); err != nil {
			return nil, context.Canceled
		}
	}
}

// mayRepeat reports whether sending a request twice does no harm.
func (s *Sender) mayRepeat(r *http.Request) bool {
	switch {
	case r.Method == http.MethodGet:
		return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
	case r.Method == http.MethodPost && r.URL.Path == "/$process-message":
		return s.Messages && r.GetBody != nil
	}
	return false
}

// once makes one attempt.
func (s *Sender) once(r *http.Request, try int) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(s.Timeout, func() { cancel(errTimeout) })
	end := func() { timer.Stop(); cancel(nil) }
	out := r.WithContext(ctx)
	out.URL, out.Host = at(s.Base, r.URL), s.Base.Host
	if try > 1 && r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			end()
			return nil, err
		}
		out.Body = body
	}
	SendOnce(out)
	body := WatchBody(out, math.MaxInt64)
	answer, err := s.Transport.RoundTrip(out)
	if err != nil {
		switch timeout := errors.Is(context.Cause(ctx), errTimeout); {
		case timeout && body.Awaited():
			err = SlowSender
		case timeout:
			err = errTimeout
		case body.Broken() != nil:
			err = BadBody.With("%v", body.Broken())
		}
		end()
		return nil, err
	}
	timer.Reset(s.Timeout)
	answer.Body = &ending{answer.Body, end}
	return answer, nil
}

// ending releases an attempt's timeout when its body is closed.
type ending struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	e.end()
	return err
}

// pauseAfter reports whether another attempt is wanted, and after how long.
func pauseAfter(answer *http.Response, err error, try int) (pause time.Duration, wanted bool) {
	pause = min(firstPause<<(try-1), maxPause)
	if err != nil {
		return pause, true
	}
	if !slices.Contains([]int{
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, answer.StatusCode) {
		return 0, false
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		pause = max(pause, time.Duration(min(seconds, 3600))*time.Second)
	}
	return pause, pause <= maxPause
}

func (s *Sender) wait(ctx context.Context, pause time.Duration) error {
	after := s.After
	if after == nil {
		after = time.After
	}
	select {
	case <-after(pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// notSent returns what the application is told when the proxy does not answer.
func notSent(err error) *Outcome {
	if outcome := OutcomeOf(err); outcome != nil {
		return outcome
	}
	if outcome := notSendable(err); outcome != nil {
		return outcome
	}
	if errors.Is(err, errTimeout) {
		return (&Outcome{Status: http.StatusGatewayTimeout, Issue: "timeout", Code: "PROXY_TIMEOUT", Fault: FaultProxy,
			Text: "The BaRS proxy did not answer in time."}).With("%v", err)
	}
	return (&Outcome{Status: http.StatusBadGateway, Issue: "transient", Code: "PROXY_SERVICE_UNAVAILABLE", Fault: FaultNetwork,
		Text: "The BaRS proxy cannot be reached."}).With("%v", err)
}
