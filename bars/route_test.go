package bars_test

import (
	"cmp"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
)

const dosService = "https://fhir.nhs.uk/Id/dos-service-id"

// The proxy checks a request in the order of BAR-1.4: each row corrects what the previous row was refused for.
func TestOrderOfChecks(t *testing.T) {
	place, _ := url.Parse("https://receiver.nhs.uk/r")
	p := bars.NewProxy(bars.Options{
		Access: func(r *http.Request) (string, error) {
			if r.Header.Get("Authorization") == "" {
				return "", &bars.Outcome{Status: 401, Code: "SEND_UNAUTHORIZED"}
			}
			return "app", nil
		},
		Find: func(target bars.Target) (*url.URL, *bars.Outcome) {
			if target.Value != "known" {
				return nil, &bars.Outcome{Status: 404, Code: "PROXY_NOT_FOUND"}
			}
			return place, nil
		},
		Quota: bars.NewQuota(bars.Limits{}, nil),
	})
	r := httptest.NewRequest(http.MethodPut, "/Patient/../x?a=b", nil)
	for _, c := range []struct {
		mend   func()
		status int
		code   string
	}{
		{func() {}, 404, "NOT_FOUND"},
		{func() { r.URL.Path = "/DocumentReference" }, 401, "SEND_UNAUTHORIZED"},
		{func() { r.Header.Set("Authorization", "Bearer x") }, 400, "BAD_REQUEST"},
		{func() { r.Header.Set("X-Correlation-Id", "c") }, 400, "BAD_REQUEST"},
		{func() { r.Header.Set("X-Request-Id", "r"); r.Header.Del("X-Correlation-Id") }, 400, "BAD_REQUEST"},
		{func() { r.Header.Set("X-Correlation-Id", "c") }, 406, "SEND_NOT_ACCEPTABLE"},
		{func() { r.Header.Set("Accept", "application/fhir+json; version=1.1.0") }, 400, "PROXY_BAD_REQUEST"},
		{func() { r.Header.Set(bars.HeaderTarget, bars.Target{System: "s", Value: "v"}.Header()) }, 404, "PROXY_NOT_FOUND"},
	} {
		c.mend()
		call := p.Route(httptest.NewRecorder(), r)
		if call.Outcome == nil || call.Outcome.Status != c.status || call.Outcome.Code != c.code {
			t.Errorf("%s %s %v: got outcome %+v, want %d %s", r.Method, r.URL, r.Header, call.Outcome, c.status, c.code)
		}
	}
	r.Header.Set(bars.HeaderTarget, bars.Target{System: "s", Value: "known"}.Header())
	if call := p.Route(httptest.NewRecorder(), r); call.Outcome != nil || call.App != "app" || call.Address.String() != "https://receiver.nhs.uk/r/DocumentReference?a=b" {
		t.Errorf("a correct request was refused: %+v", call)
	}
}

// The built-in receiver answers only in the sandbox, and only for its own targets.
func TestBuiltInReceiver(t *testing.T) {
	for target, builtIn := range map[bars.Target]bool{
		{System: dosService, Value: "2000072489"}:                              true,
		{System: dosService, Value: "2000"}:                                    true,
		{System: dosService, Value: "1200072489"}:                              false,
		{System: dosService, Value: "200"}:                                     false,
		{System: "https://FHIR.nhs.uk/id/dos-service-id", Value: "2000072489"}: true,
		{System: "tests", Value: "NHS0001"}:                                    true,
		{System: "tests", Value: "nhs0001"}:                                    false,
		{System: "tests", Value: "2000072489"}:                                 false,
	} {
		for _, sandbox := range []bool{true, false} {
			looked := 0
			p := bars.NewProxy(bars.Options{
				Sandbox: sandbox, Quota: bars.NewQuota(bars.Limits{}, nil), Access: func(*http.Request) (string, error) { return "app", nil },
				Find: func(bars.Target) (*url.URL, *bars.Outcome) {
					looked++
					return nil, &bars.Outcome{Status: 404}
				},
			})
			r := httptest.NewRequest(http.MethodGet, "/Slot", nil)
			r.Header.Set("X-Request-Id", "r")
			r.Header.Set("X-Correlation-Id", "c")
			r.Header.Set(bars.HeaderTarget, target.Header())
			call := p.Route(httptest.NewRecorder(), r)
			if here := call.Answer != nil; here != (sandbox && builtIn) || here == (looked == 1) {
				t.Errorf("%v, sandbox %v: got answered here: %v, looked up %d times", target, sandbox, here, looked)
			}
		}
	}
}

// Each application is counted separately and told how many whole seconds to wait.
func TestRates(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	p := bars.NewProxy(bars.Options{
		Access: func(r *http.Request) (string, error) {
			app := r.Header.Get("App")
			return app, map[bool]error{true: errors.New("who is it?")}[app == ""]
		},
		Find:  func(bars.Target) (*url.URL, *bars.Outcome) { return &url.URL{Scheme: "https", Host: "x"}, nil },
		Quota: bars.NewQuota(bars.Limits{PerApp: 1}, func() time.Time { return now }),
	})
	for _, c := range []struct {
		app    string
		status int
	}{{"", 500}, {"a", 0}, {"a", 429}, {"b", 0}, {"b", 429}} {
		r, w := httptest.NewRequest(http.MethodGet, "/Slot", nil), httptest.NewRecorder()
		r.Header.Set("App", c.app)
		r.Header.Set("X-Request-Id", "r")
		r.Header.Set("X-Correlation-Id", "c")
		r.Header.Set(bars.HeaderTarget, bars.Target{System: "s", Value: "v"}.Header())
		outcome := cmp.Or(p.Route(w, r).Outcome, &bars.Outcome{})
		if outcome.Status != c.status || c.status == 429 && (outcome.Issue != "429" || outcome.Code != "PROXY_TOO_MANY_REQUESTS" || w.Header().Get("Retry-After") != "60") {
			t.Errorf("app %q: got outcome %+v, headers %v", c.app, outcome, w.Header())
		}
		now = now.Add(200 * time.Millisecond)
	}
}

// The default limits (BAR-1.9).
func TestDefaultLimits(t *testing.T) {
	for production, want := range map[bool]bars.Limits{false: {PerApp: 300, Overall: 60}, true: {PerApp: 1000, Overall: 60}} {
		if got := bars.DefaultLimits(production); got != want {
			t.Errorf("production %v: got limits %+v", production, got)
		}
	}
}
