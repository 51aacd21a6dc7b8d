package bars_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
)

func sender(base string, do func(*http.Request) (*http.Response, error)) *bars.Sender {
	u, _ := url.Parse(base)
	return &bars.Sender{Transport: transport(do), Base: u, Timeout: bars.SendTimeout, Tries: bars.SendTries, Logger: slog.New(slog.DiscardHandler)}
}

// A GET is repeated after growing pauses, within bounds.
func TestSenderTriesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		answers []int // 0: no answer
		later   string
		status  int
		took    time.Duration
	}{
		"at once":            {[]int{200}, "", 200, 0},
		"after two":          {[]int{0, 408, 200}, "", 200, 1500 * time.Millisecond},
		"never":              {[]int{503, 503, 503}, "", 503, 1500 * time.Millisecond},
		"not there":          {[]int{0, 0, 0}, "", 502, 1500 * time.Millisecond},
		"later":              {[]int{503, 200}, "3", 200, 3 * time.Second},
		"much later":         {[]int{503}, "30", 503, 0},
		"the receiver's own": {[]int{401}, "", 401, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				s := sender("https://api.nhs.uk/base", func(r *http.Request) (*http.Response, error) {
					if r.URL.String() != "https://api.nhs.uk/base/Slot?a=%2B" || r.Host != "api.nhs.uk" {
						t.Errorf("got a request for %s at host %s", r.URL, r.Host)
					}
					status := c.answers[asked]
					asked++
					if status == 0 {
						return nil, errors.New("away")
					}
					answer := answering(status, "")
					answer.Header.Set("Retry-After", c.later)
					return answer, nil
				})
				began := time.Now()
				answer, err := s.RoundTrip(httptest.NewRequest(http.MethodGet, "/Slot?a=%2B", nil))
				if err != nil || answer.StatusCode != c.status || time.Since(began) != c.took || asked != len(c.answers) {
					t.Errorf("got answer %v, error %v after %s and %d attempts", answer, err, time.Since(began), asked)
				}
				answer.Body.Close()
			})
		})
	}
}

// Each attempt has its own timeout, and the application may go away in between.
func TestSenderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		s := sender("https://api.nhs.uk", hang)
		s.Tries = 2
		began := time.Now()
		answer, err := s.RoundTrip(httptest.NewRequest(http.MethodGet, "/Slot", nil))
		if err != nil || answer.StatusCode != 504 || time.Since(began) != 2*35*time.Second+500*time.Millisecond {
			t.Errorf("got answer %v, error %v after %s", answer, err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.RoundTrip(httptest.NewRequest(http.MethodGet, "/Slot", nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("the application has gone: got error %v", err)
		}
		message := httptest.NewRequest(http.MethodPost, "/$process-message", strings.NewReader("{}"))
		began = time.Now()
		if answer, err = s.RoundTrip(message); err != nil || answer.StatusCode != 504 || time.Since(began) != 35*time.Second {
			t.Errorf("a message: got answer %v, error %v after %s", answer, err, time.Since(began))
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	})
}

// Which requests are repeated after which answer, and that a repeated request is identical.
func TestSenderRepeats(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int // of each answer; 0: no answer
		messages     bool
		asked        int
	}{
		{"GET", "/Slot", 503, false, 3}, {"GET", "/Slot", 408, false, 3}, {"GET", "/Slot", 0, false, 3},
		{"GET", "/Slot", 500, false, 1}, {"GET", "/Slot", 504, false, 3}, {"GET", "/Slot", 429, false, 3}, {"GET", "/Slot", 401, false, 1}, {"GET", "/Slot", 404, false, 1},
		{"POST", "/$process-message", 503, false, 1}, {"POST", "/$process-message", 0, false, 1},
		{"POST", "/$process-message", 503, true, 3}, {"POST", "/$process-message", 0, true, 3}, {"POST", "/$process-message", 500, true, 1},
		{"POST", "/Appointment", 503, true, 1}, {"PUT", "/Appointment/1", 503, true, 1}, {"PATCH", "/Appointment/1", 0, true, 1}, {"DELETE", "/ServiceRequest/1", 503, true, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var seen []string
			s := sender("https://api.nhs.uk", func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				seen = append(seen, strings.Join([]string{string(body), r.Header.Get("X-Request-Id"), r.Header.Get("X-Correlation-Id")}, " "))
				if c.status == 0 || err != nil {
					return nil, errors.New("away")
				}
				return answering(c.status, ""), nil
			})
			s.Messages = c.messages
			r := httptest.NewRequest(c.method, c.path, strings.NewReader("{}"))
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("{}")), nil }
			r.Header.Set("X-Request-Id", "r-1")
			r.Header.Set("X-Correlation-Id", "c-1")
			answer, err := s.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if len(seen) != c.asked {
				t.Errorf("%s %s after %d, messages %v: got %d attempts, want %d", c.method, c.path, c.status, c.messages, len(seen), c.asked)
			}
			for i, one := range seen {
				if one != "{} r-1 c-1" {
					t.Errorf("%s %s, attempt %d: got %q", c.method, c.path, i+1, one)
				}
			}
		})
	}
}

// An answer that has begun has as long again to complete.
func TestSenderEndsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender("https://api.nhs.uk", func(r *http.Request) (*http.Response, error) {
			time.Sleep(30 * time.Second) //nolint:forbidigo // the bubble's clock
			answer := answering(200, "")
			answer.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			}))
			return answer, nil
		})
		began := time.Now()
		answer, err := s.RoundTrip(httptest.NewRequest(http.MethodGet, "/Slot", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(answer.Body); err == nil || time.Since(began) != (30+35)*time.Second {
			t.Errorf("got error %v after %s", err, time.Since(began))
		}
		answer.Body.Close()
	})
}
