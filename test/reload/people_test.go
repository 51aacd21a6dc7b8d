package reload_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

const (
	pause    = 10 * time.Millisecond // before each request
	patience = 3 * time.Minute       // for whatever has to happen, on a busy machine
)

// meter counts what a group of callers sees. It is a transport that waits a little before each request.
type meter struct {
	mu       sync.Mutex
	requests int
	broken   int      // connections refused or lost
	faults   []string // answers of status 5xx
}

// caller is one connection's worth of a meter, with connections that are kept as real clients keep them.
func (m *meter) caller() *http.Client {
	return &http.Client{
		Timeout:       patience,
		Transport:     &metered{meter: m, next: &http.Transport{}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type metered struct {
	meter *meter
	next  *http.Transport
}

// RoundTrip counts a request and what became of it.
func (m *metered) RoundTrip(request *http.Request) (*http.Response, error) {
	select {
	case <-time.After(pause):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	response, err := m.next.RoundTrip(request)
	m.meter.mu.Lock()
	defer m.meter.mu.Unlock()
	m.meter.requests++
	switch {
	case err != nil:
		m.meter.broken++
	case response.StatusCode >= http.StatusInternalServerError:
		m.meter.faults = append(m.meter.faults, fmt.Sprintf("%s %s: %d", request.Method, request.URL.Path, response.StatusCode))
	}
	return response, err
}

// CloseIdleConnections lets go of what http.Client would otherwise keep.
func (m *metered) CloseIdleConnections() { m.next.CloseIdleConnections() }

// rate is broken connections per request.
func (m *meter) rate() float64 { return float64(m.broken) / float64(max(m.requests, 1)) }

// allowed is how many broken connections chance may make of another meter's rate: four standard deviations over what is
// expected of it. A reload meets all callers at one time, so that connections break in groups of as many; and the other's
// rate comes of chance as well.
func (m *meter) allowed(other *meter) float64 {
	expected := other.rate() * float64(m.requests)
	share := float64(m.requests) / float64(max(other.requests, 1))
	return expected + 4*math.Sqrt(callers*(expected+1)*(1+share))
}

func (m *meter) String() string {
	return fmt.Sprintf("%d of %d requests without an answer (%.2f %%)", m.broken, m.requests, 100*m.rate())
}

// insist repeats a call for as long as it gets no answer.
func insist(ctx context.Context, call func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := call()
		if !errors.Is(err, client.ErrUnreachable) || ctx.Err() != nil {
			return err
		}
	}
}

// system is a client system that sends requests and checks what it is answered.
type system struct {
	client.Client
	name string
	made int
}

func newSystem(name, id, base string, through *http.Client) *system {
	return &system{name: name, Client: client.Client{ID: id, Signer: signer, BaseURL: base, HTTP: through}}
}

// asked is an acknowledged request.
type asked struct {
	jwt      string
	payloads []client.Payload
	ticket   client.Ticket
}

// ask sends a new request of a few items. Where the answer was lost, the same JWT is sent again; it is sent once more
// in any case, and the token must be the same.
func (s *system) ask(ctx context.Context) (*asked, error) {
	s.made++
	a := &asked{}
	for i := range 1 + s.made%3 {
		info, _, err := client.SignedInfo("RS256", fmt.Appendf(nil, "%s, request %d, item %d", s.name, s.made, i))
		if err != nil {
			return nil, err
		}
		a.payloads = append(a.payloads, client.Payload{
			ID: fmt.Sprintf("%s-%d-%d", s.name, s.made, i), Payload: base64.StdEncoding.EncodeToString(info),
		})
	}
	var err error
	if a.jwt, err = s.Prepare(person, "RS256", a.payloads); err != nil {
		return nil, err
	}
	if a.ticket, err = s.send(ctx, a.jwt); err != nil {
		return nil, err
	}
	again, err := s.send(ctx, a.jwt)
	if err == nil && again != a.ticket {
		err = errors.New("the same JWT gives another token")
	}
	return a, err
}

func (s *system) send(ctx context.Context, jwt string) (ticket client.Ticket, err error) {
	err = insist(ctx, func() (err error) { ticket, err = s.Send(ctx, jwt, "e30="); return err })
	return ticket, err
}

// fetched says what is wrong with the signatures of a request; nil: nothing.
func (s *system) fetched(ctx context.Context, a *asked) error {
	return insist(ctx, func() error {
		response, err := s.Fetch(ctx, a.ticket.Token)
		if err != nil {
			return err
		}
		_, err = client.Verify("RS256", a.payloads, response)
		return err
	})
}

// visit is a person's browser with the signing page of one request open.
type visit struct {
	http       *http.Client
	base, csrf string
	token, id  string
	query      string
}

var csrfMeta = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)

// open loads the page and claims the session, as often as connections break on the way.
func open(ctx context.Context, through *http.Client, a *asked) (*visit, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	own := *through
	own.Jar = jar
	base, query, _ := strings.Cut(a.ticket.RedirectURI, "/client?")
	v := &visit{http: &own, base: base, query: query, token: a.ticket.Token}
	page, err := v.call(ctx, http.MethodGet, "?"+query, nil)
	if err != nil {
		return nil, err
	}
	found := csrfMeta.FindSubmatch(page)
	if found == nil {
		return nil, errors.New("the page has no CSRF value")
	}
	v.csrf = string(found[1])
	seen, err := v.see(ctx, http.MethodPost, "/open", map[string]string{"token": v.token, "query": v.query})
	v.id = seen.ID
	return v, err
}

// view is how a session stands.
type view struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Reason *struct {
		Code  string `json:"code"`
		Retry bool   `json:"retry"`
	} `json:"reason"`
}

// sign presses "Sign", and again where the page says that this makes sense, until everything is signed.
func (v *visit) sign(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		seen, err := v.look(ctx)
		if err != nil {
			return err
		}
		switch {
		case seen.State == "signed":
			return nil
		case seen.State == "opened":
			if _, err := v.see(ctx, http.MethodPost, "/sign", map[string]string{"id": v.id}); err != nil {
				return err
			}
		case seen.State != "signing":
			return fmt.Errorf("the session is %s: %+v", seen.State, seen.Reason)
		}
	}
}

func (v *visit) look(ctx context.Context) (view, error) {
	return v.see(ctx, http.MethodGet, "/session?id="+v.id, nil)
}

func (v *visit) see(ctx context.Context, method, path string, body any) (view, error) {
	answer, err := v.call(ctx, method, path, body)
	if err != nil {
		return view{}, err
	}
	var seen view
	return seen, json.Unmarshal(answer, &seen)
}

// call makes one call of the page and insists on an answer.
func (v *visit) call(ctx context.Context, method, path string, body any) (answer []byte, err error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	err = insist(ctx, func() error {
		request, err := http.NewRequestWithContext(ctx, method, v.base+"/client"+path, bytes.NewReader(content))
		if err != nil {
			return err
		}
		request.Header.Set("Origin", v.base[:strings.LastIndex(v.base, "/")])
		request.Header.Set("X-CSRF-Token", v.csrf)
		request.Header.Set("Content-Type", "application/json")
		response, err := v.http.Do(request)
		if err != nil {
			return fmt.Errorf("%w: %w", client.ErrUnreachable, err)
		}
		defer response.Body.Close()
		if answer, err = io.ReadAll(response.Body); err != nil {
			return fmt.Errorf("%w: %w", client.ErrUnreachable, err)
		}
		if response.StatusCode/100 != 2 {
			return &client.Error{Status: response.StatusCode, Message: string(answer)}
		}
		return nil
	})
	return answer, err
}

// crowd are goroutines that do the same thing over and over until told to stop; the first error is the test's.
type crowd struct {
	t    testing.TB
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func gather(t testing.TB, n int, once func(ctx context.Context, who int) error) *crowd {
	ctx, stop := context.WithCancel(t.Context())
	c := &crowd{t: t, stop: stop}
	for who := range n {
		c.wg.Go(func() {
			for ctx.Err() == nil {
				if err := once(context.WithoutCancel(ctx), who); err != nil {
					t.Errorf("caller %d: %v", who, err)
					return
				}
			}
		})
	}
	return c
}

// disperse lets everybody finish what they began.
func (c *crowd) disperse() {
	c.stop()
	c.wg.Wait()
}
