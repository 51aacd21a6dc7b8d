package signing

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

func TestPing(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Version = Version{"v1", "r2", "i3", "c4"} })
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		got := answer(w.Service, httptest.NewRequest(method, "/_ping", nil))
		if got.Code != 200 || got.Body.String() != `{"version":"v1","revision":"r2","releaseId":"i3","commitId":"c4"}` {
			t.Errorf("%s: %d %s", method, got.Code, got.Body)
		}
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.StatusKey = "secret" })
	second := newFakeAgent(t)
	w.Agents = []Route{{Name: "second", Agent: second}}
	ask := func() statusBody {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/_status", nil)
		r.Header.Set("apikey", "secret")
		got := answer(w.Service, r)
		mustBe(t, got, 200)
		return read[statusBody](t, got)
	}
	if got := ask(); got.Status != "pass" || len(got.Checks) != 3 || got.Checks["agent:mock"].Outcome != "OK" ||
		got.Checks["store"] != (Check{Status: "pass", Timeout: "false", ResponseCode: 200, Outcome: "OK"}) {
		t.Errorf("all well: %+v", got)
	}
	second.health = func() (smartcard.Health, error) { return smartcard.Health{}, nil }
	if got := ask(); got.Status != "warn" || got.Checks["agent:second"].Outcome != "not_ready" || got.Checks["agent:second"].ResponseCode != 503 {
		t.Errorf("an agent that is not ready: %+v", got)
	}
	second.health = func() (smartcard.Health, error) {
		return smartcard.Health{}, &smartcard.Error{Code: smartcard.CodeUnreachable}
	}
	if got := ask(); got.Status != "warn" || got.Checks["agent:second"].Outcome != smartcard.CodeUnreachable {
		t.Errorf("an agent away: %+v", got)
	}
	w.store.fail(func([]string) error { return away() }, nil)
	if got := ask(); got.Status != "fail" || got.Checks["store"].Outcome != "unavailable" || got.Checks["agent:mock"].Status != "pass" {
		t.Errorf("the store away: %+v", got)
	}
}

// Without a place for its records a service releases nothing, unless they are optional.
func TestStatusOfTheAuditLog(t *testing.T) {
	w, a := audited(t, nil)
	for _, row := range []struct {
		full, optional bool
		want           string
	}{{false, false, "pass"}, {true, false, "fail"}, {true, true, "warn"}, {false, true, "pass"}} {
		var fail func(AuditRecord) error
		if row.full {
			fail = func(AuditRecord) error { return away() }
		}
		a.fails(fail)
		w.AuditOptional = row.optional
		if got := w.Health(t.Context()); got.Status != row.want || got.Checks["audit"].Status != row.want {
			t.Errorf("full %v, optional %v: got %s, want %s", row.full, row.optional, got.Status, row.want)
		}
	}
}

func TestStatusWantsTheKey(t *testing.T) {
	for name, configured := range map[string]string{"one": "secret", "none": ""} {
		w := newWorld(t, func(o *Options) { o.StatusKey = configured })
		for _, sent := range []string{"", "x", "secre", "secrets"} {
			t.Run(name+" "+sent, func(t *testing.T) {
				r := httptest.NewRequest(http.MethodGet, "/_status", nil)
				r.Header.Set("apikey", sent)
				mustRefuse(t, answer(w.Service, r), refused{401, "apikey", ""})
			})
		}
	}
}

// A check that hangs is given up, and says so.
func TestACheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := examine(t.Context(), "self", "warn", func(ctx context.Context) string {
			<-ctx.Done()
			return asRefusal(ctx.Err()).code
		})
		if got.Status != "warn" || got.Timeout != "true" || got.ResponseCode != 503 || got.Outcome == outcomeOK || got.Links.Self != "self" {
			t.Errorf("got %+v", got)
		}
	})
}
