package smartcard

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

// AgentOptions say which agent to ask, and how long to wait for it.
type AgentOptions struct {
	// URL is the agent's https base address, to which /sign and /health are added. Mandatory.
	URL string

	// Transport does mutual TLS with the agent: it presents the gateway's certificate and verifies the agent's
	// against a configured pool. Mandatory.
	Transport http.RoundTripper

	// Timeout bounds a whole job, from connecting to the end of the answer. Default: 5 minutes.
	Timeout time.Duration

	// Idle is the longest silence between two lines, including the wait for the first line, while a person finds
	// their card and types a PIN. Default: 1 minute.
	Idle time.Duration

	// Logger receives failed jobs, by code. Default: nothing is logged.
	Logger *slog.Logger
}

// Agent asks one smartcard agent. It is safe for concurrent use and keeps nothing between calls.
type Agent struct {
	base    *url.URL
	client  *http.Client
	timeout time.Duration
	idle    time.Duration
	log     *slog.Logger
}

// Why a job was ended by a limit of ours.
var (
	errTotal = errors.New("the job exceeded its timeout")
	errIdle  = errors.New("the agent was silent for longer than allowed")
)

// NewAgent checks the options. It opens no connection.
func NewAgent(o AgentOptions) (*Agent, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("smartcard agent %q: the address must have the form https://host[:port][/path], without user, query or fragment", o.URL)
	}
	if o.Transport == nil {
		return nil, errors.New("smartcard agent: a transport with a client certificate and a trust pool is mandatory")
	}
	if o.Timeout < 0 || o.Idle < 0 {
		return nil, errors.New("smartcard agent: timeouts must not be negative")
	}
	a := &Agent{
		base: base,
		client: &http.Client{
			Transport:     o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: o.Timeout,
		idle:    o.Idle,
		log:     o.Logger,
	}
	if a.timeout == 0 {
		a.timeout = 5 * time.Minute
	}
	if a.idle == 0 {
		a.idle = time.Minute
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	return a, nil
}

// Sign sends the job and waits for the whole answer. progress may be nil. It is called from the calling goroutine
// with the id of each item as its signature arrives, in order of arrival, and must not block. No signature counts
// until Sign returns a Result.
//
// When ctx ends, the connection is closed at once, which tells the agent that the job is cancelled, and the error is
// ctx's own. Every other error is an *Error.
func (a *Agent) Sign(ctx context.Context, job Job, progress func(id string)) (*Result, error) {
	if err := job.Validate(); err != nil {
		return nil, &Error{Code: CodeRefused, Final: true, cause: fmt.Errorf("invalid job: %w", err)}
	}
	began := time.Now()
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := time.AfterFunc(a.timeout, func() { cancel(errTotal) })
	defer total.Stop()
	idle := time.AfterFunc(a.idle, func() { cancel(errIdle) })
	defer idle.Stop()

	result, err := a.sign(limited, job, func(e Event) {
		idle.Reset(a.idle)
		if e.Signature != nil && progress != nil {
			progress(e.ID)
		}
	})
	if gaveUp := context.Cause(limited); gaveUp != nil {
		err = gaveUp // an answer that ended because we gave up does not count, however complete it looks
	}
	if err != nil {
		err = explain(ctx, limited, err)
		a.log.WarnContext(ctx, "smartcard job failed", "job", job.Job, "agent", a.base.Host, "items", len(job.Payloads),
			"took", time.Since(began), "error", err)
		return nil, err
	}
	return result, nil
}

// Health asks for the agent's health. It waits at most 10 seconds, or Timeout if that is less.
func (a *Agent) Health(ctx context.Context) (Health, error) {
	limited, cancel := context.WithTimeoutCause(ctx, min(a.timeout, 10*time.Second), errTotal)
	defer cancel()
	health, err := a.health(limited)
	if err != nil {
		return Health{}, explain(ctx, limited, err)
	}
	return health, nil
}

func (a *Agent) sign(ctx context.Context, job Job, heard func(Event)) (*Result, error) {
	body, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	resp, err := a.do(ctx, http.MethodPost, pathSign, body, mediaAnswer)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readAnswer(resp.Body, job, heard)
}

func (a *Agent) health(ctx context.Context) (Health, error) {
	resp, err := a.do(ctx, http.MethodGet, pathHealth, nil, mediaJob)
	if err != nil {
		return Health{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxShort))
	if err != nil {
		return Health{}, err
	}
	var health Health
	if err := unmarshal(text, &health); err != nil {
		return Health{}, garbage(errors.New("the health is not the JSON object of the protocol"))
	}
	health.Card, health.Subject = tame(health.Card, 40), tame(health.Subject, 200)
	return health, nil
}

// do sends one request and returns the response if it is a 200 of the right media type from a verified agent.
func (a *Agent) do(ctx context.Context, method, path string, body []byte, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", "identity") // nothing is decompressed, so no answer can expand
	if body != nil {
		req.Header.Set("Content-Type", mediaJob)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := check(resp, accept); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// check reports whether the response may be read as an answer.
func check(resp *http.Response, media string) error {
	switch t := resp.TLS; {
	case t == nil || t.Version < tls.VersionTLS12 || len(t.VerifiedChains) == 0:
		return &Error{Code: CodeUnreachable, cause: errors.New("the agent's certificate was not verified: the transport must verify it, over TLS 1.2 or later")}
	case resp.StatusCode >= 400:
		return refusal(resp)
	case resp.StatusCode != http.StatusOK:
		return garbage(fmt.Errorf("status %d", resp.StatusCode))
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return garbage(errors.New("the answer has a content encoding, want none"))
	}
	if got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || got != media {
		return garbage(fmt.Errorf("the answer's media type is not %s", media))
	}
	return nil
}

// refusal makes an error of a 4xx or 5xx answer, with the agent's own code and message if it gave them.
func refusal(resp *http.Response) *Error {
	code := CodeRefused
	if resp.StatusCode >= 500 {
		code = CodeUnreachable
	}
	var f Failure
	if text, err := io.ReadAll(io.LimitReader(resp.Body, maxShort)); err != nil || unmarshal(text, &f) != nil {
		f = Failure{} // perhaps a proxy's page: only the status counts
	}
	e := f.toError(code)
	e.cause = fmt.Errorf("status %d", resp.StatusCode)
	return e
}

// explain turns an error into one that Sign promises. ours is the context with our own time limits.
func explain(caller, ours context.Context, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if caller.Err() != nil {
		return fmt.Errorf("smartcard: given up: %w", caller.Err())
	}
	if cause := context.Cause(ours); cause != nil {
		return &Error{Code: CodeTimeout, cause: cause}
	}
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return &Error{Code: CodeTimeout, cause: err}
	}
	return &Error{Code: CodeUnreachable, cause: err}
}
