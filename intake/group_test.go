package intake

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/intake/share"
)

const (
	plenty  = time.Minute // longer than anything in these tests takes
	trusted = "203.0.113.9"
)

// taking is a server that reads bodies in a group and answers with the result.
type taking struct {
	*httptest.Server
	group *Group
	limit int64
	with  func(*Taken)               // called before the body is read
	then  func(*Taken, []byte) error // called after
}

// newTaking starts a server whose group takes the caller's address from a header.
func newTaking(t *testing.T, size, part int64) *taking {
	t.Helper()
	s := &taking{group: NewGroup("test", size, part), limit: 1 << 20, with: func(*Taken) {}, then: func(*Taken, []byte) error { return nil }}
	s.group.Caller = func(r *http.Request) share.Caller {
		address, _ := netip.ParseAddr(r.Header.Get("From-Address"))
		return share.Caller{Address: address, Proven: r.Header.Get("From-Address") == trusted}
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *taking) serve(w http.ResponseWriter, r *http.Request) {
	_ = Guard(w, r, func(w http.ResponseWriter, r *http.Request) error {
		place, err := s.group.Take(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return nil
		}
		defer place.Release()
		s.with(place)
		body, err := place.Read(s.limit, plenty)
		if err == nil {
			err = s.then(place, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return nil
		}
		fmt.Fprintf(w, "%d bytes", len(body))
		return nil
	})
}

// client returns a client for HTTP/1.1 or HTTP/2 with its own connections.
func (s *taking) client(major int) *http.Client {
	transport := s.Client().Transport.(*http.Transport).Clone()
	if major == 1 {
		transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		transport.ForceAttemptHTTP2 = false
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return &http.Client{Transport: transport}
}

// outcome is the answer to a request, or its error.
type outcome struct {
	status int
	text   string
	err    error
}

// post sends a body from an address and returns a channel for the outcome.
func (s *taking) post(major int, from string, body io.Reader) <-chan outcome {
	came := make(chan outcome, 1)
	go func() {
		request, err := http.NewRequest(http.MethodPost, s.URL, body)
		if err != nil {
			came <- outcome{err: err}
			return
		}
		request.Header.Set("From-Address", from)
		response, err := s.client(major).Do(request)
		if err != nil {
			came <- outcome{err: err}
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		came <- outcome{response.StatusCode, string(text), err}
	}()
	return came
}

// half sends only the beginning of a body.
func (s *taking) half(t *testing.T, major int, from string) <-chan outcome {
	t.Helper()
	before := s.group.Pool.Use()
	body, rest := io.Pipe()
	t.Cleanup(func() { rest.Close() })
	came := s.post(major, from, body)
	if _, err := io.WriteString(rest, "some"); err != nil {
		t.Fatal(err)
	}
	wait(t, "the request to join the pool", func() bool {
		use := s.group.Pool.Use()
		return use.Unproven > before.Unproven || use.GivenUp > before.GivenUp
	})
	return came
}

// wait polls until the condition holds.
func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline, tick := time.After(plenty), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("waited %s for %s", plenty, what)
		case <-tick.C:
		}
	}
}

func (o outcome) wants(t *testing.T, status int, text string) {
	t.Helper()
	if o.err != nil || o.status != status || !strings.Contains(o.text, text) {
		t.Errorf("got %d %q (%v), want %d %q", o.status, o.text, o.err, status, text)
	}
}

func TestHalfSentBodiesGiveWay(t *testing.T) {
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			s := newTaking(t, 3, 1)
			honest := s.half(t, major, "192.0.2.1")
			var strangers []<-chan outcome
			for range 10 {
				strangers = append(strangers, s.half(t, major, "198.51.100.1"))
			}
			(<-s.post(major, "192.0.2.2", strings.NewReader("whole"))).wants(t, http.StatusOK, "5 bytes")
			for i, gone := range strangers[:9] {
				if o := <-gone; o.err == nil && o.status != http.StatusServiceUnavailable {
					t.Errorf("stranger %d: got %d %q, want none or 503", i, o.status, o.text)
				}
			}
			if use := s.group.Pool.Use(); use.GivenUp != 9 {
				t.Errorf("given up: got %d, want 9", use.GivenUp)
			}
			select {
			case o := <-honest:
				t.Errorf("honest caller with the smallest share: got %+v, want it to keep its place", o)
			default:
			}
		})
	}
}

func TestProvenAndTrustedCallersKeepTheirPlaces(t *testing.T) {
	s := newTaking(t, 3, 1)
	var first sync.Once
	s.with = func(place *Taken) {
		first.Do(func() {
			if err := place.Prove(); err != nil {
				t.Error(err)
			}
		})
	}
	body, rest := io.Pipe()
	proven := s.post(1, "192.0.2.1", body)
	wait(t, "the proven caller", func() bool { return s.group.Pool.Use().Proven == 1 })
	fromTrusted, restTrusted := io.Pipe()
	trusting := s.post(1, trusted, fromTrusted)
	wait(t, "the trusted caller", func() bool { return s.group.Pool.Use().Proven == 2 })
	for range 5 {
		s.half(t, 1, "192.0.2.1") // the proven caller's address
	}
	for _, end := range []*io.PipeWriter{rest, restTrusted} {
		if _, err := io.WriteString(end, "whole"); err != nil {
			t.Fatal(err)
		}
		end.Close()
	}
	(<-proven).wants(t, http.StatusOK, "5 bytes")
	(<-trusting).wants(t, http.StatusOK, "5 bytes")
}

func TestReadIsBounded(t *testing.T) {
	s := newTaking(t, 1<<20, 0)
	s.limit = 100 << 10
	(<-s.post(1, "192.0.2.1", strings.NewReader(strings.Repeat("x", 100<<10)))).wants(t, http.StatusOK, "102400 bytes")
	(<-s.post(1, "192.0.2.1", strings.NewReader(strings.Repeat("x", 100<<10+1)))).wants(t, http.StatusServiceUnavailable, ErrTooLarge.Error())
	chunked := io.MultiReader(strings.NewReader(strings.Repeat("x", 100<<10+1)))
	(<-s.post(1, "192.0.2.1", chunked)).wants(t, http.StatusServiceUnavailable, ErrTooLarge.Error())
	(<-s.post(1, "192.0.2.1", nil)).wants(t, http.StatusOK, "0 bytes")
	wait(t, "the pool to be empty", func() bool { use := s.group.Pool.Use(); return use.Unproven == 0 && use.Proven == 0 })
}

// The pool counts the memory that a body has filled, not the declared length.
func TestPoolCountsReceivedBytes(t *testing.T) {
	s := newTaking(t, 1<<20, 0)
	var held int64
	s.then = func(*Taken, []byte) error { held = s.group.Pool.Use().Unproven; return nil }
	(<-s.post(1, "192.0.2.1", strings.NewReader(strings.Repeat("x", 500_000)))).wants(t, http.StatusOK, "500000 bytes")
	if held < 500_000 || held > 600_000 {
		t.Errorf("body of 500000 bytes: got %d held, want 500000 to 600000", held)
	}
}

func TestMinimumRate(t *testing.T) {
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			s := newTaking(t, 1<<20, 0)
			s.with = func(place *Taken) { place.began = time.Now().Add(-Grace + 50*time.Millisecond) }
			o := <-s.half(t, major, "192.0.2.1")
			o.wants(t, http.StatusServiceUnavailable, ErrSlow.Error())
		})
	}
	t.Run("not for proven callers", func(t *testing.T) {
		s := newTaking(t, 1<<20, 0)
		body, rest := io.Pipe()
		s.with = func(place *Taken) {
			place.began = time.Now().Add(-2 * Grace)
			if err := place.Prove(); err != nil {
				t.Error(err)
			}
		}
		came := s.post(1, "192.0.2.1", body)
		wait(t, "the request to join the pool", func() bool { return s.group.Pool.Use().Proven > 0 })
		if _, err := io.WriteString(rest, "whole"); err != nil {
			t.Fatal(err)
		}
		rest.Close()
		(<-came).wants(t, http.StatusOK, "5 bytes")
	})
}

// The work for a caller ends when its place is given up, and the next request on the connection is read.
func TestWorkEndsWhenThePlaceIsGivenUp(t *testing.T) {
	s := newTaking(t, 1, 1)
	s.then = func(place *Taken, body []byte) error {
		if string(body) == "wait" {
			<-place.Context().Done()
			if !place.GivenUp() {
				return errors.New("the context ended for another reason, want the place given up")
			}
			return share.ErrGivenUp
		}
		return nil
	}
	first := s.post(1, "192.0.2.1", strings.NewReader("wait"))
	wait(t, "the first request", func() bool { return s.group.Pool.Use().Unproven == 1 })
	(<-s.post(1, "192.0.2.2", strings.NewReader("whole"))).wants(t, http.StatusOK, "5 bytes")
	(<-first).wants(t, http.StatusServiceUnavailable, "given up")
}

// Giving up a released place must not affect the next request on the connection.
func TestReleasedPlaceLeavesTheConnectionAlone(t *testing.T) {
	control := &deadlines{}
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("whole"))
	place, err := NewGroup("test", 1, 1).Take(control, request)
	if err != nil {
		t.Fatal(err)
	}
	place.Release()
	place.giveUp()
	if len(control.set) != 0 {
		t.Errorf("deadlines after release: got %v, want none", control.set)
	}
}

type deadlines struct {
	httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}
