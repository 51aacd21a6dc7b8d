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

// A GET is tried again after pauses that grow, within bounds.
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
						t.Errorf("asked for %s at %s", r.URL, r.Host)
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
					t.Errorf("%v %v after %s and %d times", answer, err, time.Since(began), asked)
				}
				answer.Body.Close()
			})
		})
	}
}

// Each try has its time, and the application may go away in between.
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
			t.Errorf("%v %v after %s", answer, err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.RoundTrip(httptest.NewRequest(http.MethodGet, "/Slot", nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("the application has gone: %v", err)
		}
		message := httptest.NewRequest(http.MethodPost, "/$process-message", strings.NewReader("{}"))
		began = time.Now()
		if answer, err = s.RoundTrip(message); err != nil || answer.StatusCode != 504 || time.Since(began) != 35*time.Second {
			t.Errorf("a message: %v %v after %s", answer, err, time.Since(began))
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	})
}
