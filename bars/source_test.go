package bars_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
)

const oneTarget = `{"NHSD-Target-Identifier":{"s":{"v":"https://one.nhs.uk"}}}`

// transport answers requests with a function.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func answering(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// A catalogue from a URL is fetched at the start, retried soon after a failure, and too old after a day.
func TestSourceFromAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Bool
		var asked atomic.Int32
		s := bars.NewSource(bars.SourceOptions{URL: "https://catalogue.nhs.uk", HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			if good.Load() {
				return answering(200, oneTarget), nil
			}
			return nil, errors.New("away")
		})}})
		if err := s.First(); err != nil || asked.Load() != 0 {
			t.Fatalf("First fetched the URL, want it to wait for Start: error %v", err)
		}
		if _, outcome := s.Current(); outcome == nil || outcome.Status != 503 || outcome.Fault != bars.FaultProxy {
			t.Errorf("before the first fetch: got outcome %+v", outcome)
		}
		s.Start()
		defer s.Close()
		synctest.Wait()
		if status := s.Status(); asked.Load() != 1 || status.Error == "" || !status.Good.IsZero() {
			t.Errorf("fetched %d times: got status %+v", asked.Load(), status)
		}
		good.Store(true)
		time.Sleep(6 * time.Second) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		if c, outcome := s.Current(); outcome != nil || c.Size() != 1 || asked.Load() != 2 {
			t.Fatalf("fetched %d times: got outcome %v", asked.Load(), outcome)
		}
		good.Store(false)
		time.Sleep(23 * time.Hour) //nolint:forbidigo // the bubble's clock
		if _, outcome := s.Current(); outcome != nil {
			t.Errorf("after 23 hours: got outcome %v", outcome)
		}
		if n := asked.Load(); n < 90 || n > 130 {
			t.Errorf("got %d fetches in 23 hours", n)
		}
		time.Sleep(2 * time.Hour) //nolint:forbidigo // the bubble's clock
		if _, outcome := s.Current(); outcome == nil || outcome.Fault != bars.FaultProxy || !strings.Contains(outcome.Detail, "older than 24h") {
			t.Errorf("after 25 hours: got outcome %+v", outcome)
		}
		good.Store(true)
		time.Sleep(16 * time.Minute) //nolint:forbidigo // the bubble's clock
		if _, outcome := s.Current(); outcome != nil {
			t.Errorf("after the URL came back: got outcome %v", outcome)
		}
	})
}

func TestSourceAnswers(t *testing.T) {
	for name, answer := range map[string]*http.Response{
		"not 200": answering(404, oneTarget), "not JSON": answering(200, "<html>"),
		"too large": answering(200, strings.Repeat(" ", 32<<20)+oneTarget),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := bars.NewSource(bars.SourceOptions{URL: "https://catalogue.nhs.uk", HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return answer, nil })}})
			s.Start()
			synctest.Wait()
			s.Close()
			if _, outcome := s.Current(); outcome == nil || s.Status().Error == "" {
				t.Errorf("%s: got no error, want a refusal", name)
			}
		})
	}
}

// A file is read when it changes; a bad file does not replace a good one, and an unchanged file never gets too old.
func TestSourceFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := bars.NewSource(bars.SourceOptions{File: path})
		if err := s.First(); err == nil {
			t.Fatal("a missing file: got no error")
		}
		write("{}")
		if err := s.First(); err == nil {
			t.Fatal("a bad file: got no error")
		}
		write(oneTarget)
		if err := s.First(); err != nil {
			t.Fatal(err)
		}
		s.Start()
		defer s.Close()
		size := func() int {
			t.Helper()
			time.Sleep(6 * time.Second) //nolint:forbidigo // the bubble's clock
			synctest.Wait()
			c, outcome := s.Current()
			if outcome != nil {
				t.Fatal(outcome)
			}
			return c.Size()
		}
		write(strings.Replace(oneTarget, `"v"`, `"w":"https://two.nhs.uk","v"`, 1))
		if n := size(); n != 2 {
			t.Errorf("got %d targets after a change", n)
		}
		write("nonsense")
		if n := size(); n != 2 || s.Status().Error == "" {
			t.Errorf("got %d targets after a bad change, status %+v", n, s.Status())
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if n := size(); n != 2 {
			t.Errorf("got %d targets without the file", n)
		}
		write(oneTarget)
		if n := size(); n != 1 || s.Status().Error != "" {
			t.Errorf("got %d targets in the end, status %+v", n, s.Status())
		}
		time.Sleep(48 * time.Hour) //nolint:forbidigo // the bubble's clock
		if n := size(); n != 1 || time.Since(s.Status().Good) > time.Minute {
			t.Errorf("got %d targets after two days, status %+v", n, s.Status())
		}
	})
}

// Any sign of a change makes a file read again, each by itself: its time, its size, or its inode.
func TestSourceNoticesEveryChange(t *testing.T) {
	const longer = `{"NHSD-Target-Identifier":{"s":{"v":"https://one.nhs.uk","w":"https://two.nhs.uk"}}}`
	then := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for name, change := range map[string]func(path string) (text string, at time.Time){
		"another time": func(string) (string, time.Time) {
			return strings.Replace(longer, "two", "six", 1), then.Add(time.Second)
		},
		"another length": func(string) (string, time.Time) { return oneTarget, then },
		"another file": func(path string) (string, time.Time) {
			if err := os.Rename(path, path+".old"); err != nil { // the old inode stays in use
				t.Fatal(err)
			}
			return strings.Replace(longer, "two", "six", 1), then
		},
	} {
		path := filepath.Join(t.TempDir(), "catalogue.json")
		write := func(text string, at time.Time) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		write(longer, then)
		synctest.Test(t, func(t *testing.T) {
			s := bars.NewSource(bars.SourceOptions{File: path})
			if err := s.First(); err != nil {
				t.Fatal(err)
			}
			s.Start()
			defer s.Close()
			write(change(path))
			time.Sleep(6 * time.Second) //nolint:forbidigo // the bubble's clock
			synctest.Wait()
			c, outcome := s.Current()
			if outcome != nil {
				t.Fatal(outcome)
			}
			if _, outcome := c.Lookup(bars.Target{System: "s", Value: "w"}); (name == "another length") != (outcome != nil) || strings.Contains(strings.Join(c.Hosts(), " "), "two") {
				t.Errorf("%s: not noticed, got hosts %v", name, c.Hosts())
			}
		})
	}
}

// A bad catalogue is reported in the status, with whose fault it is, until it is corrected; the same error is logged
// once.
func TestSourceTells(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(oneTarget)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := bars.NewSource(bars.SourceOptions{File: path, Logger: slog.New(slog.NewTextHandler(&log, nil)), Rules: bars.Rules{Name: func(string) error { return errors.New("is odd") }}})
		if err := s.First(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "break the naming rules") || !strings.Contains(log.String(), "is odd") {
			t.Errorf("want a warning of the unusual name, got log\n%s", &log)
		}
		s.Start()
		write("nonsense")
		for range 3 {
			time.Sleep(6 * time.Second) //nolint:forbidigo // the bubble's clock
			synctest.Wait()
			if status := s.Status(); status.Error == "" || time.Since(status.Good) < 5*time.Second {
				t.Errorf("the file is bad: got status %+v", status)
			}
		}
		s.Close() // stops writing to the log
		if n := strings.Count(log.String(), "the last good one stays in use"); n != 1 || !strings.Contains(log.String(), "fault=proxy") {
			t.Errorf("got %d log lines, want one:\n%s", n, &log)
		}
	})
	large := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 32<<20+1); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{os.DevNull: "not a regular file", large: "larger than"} {
		if err := bars.NewSource(bars.SourceOptions{File: file}).First(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got error %v", file, err)
		}
	}
}
