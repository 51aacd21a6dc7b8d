package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// TestRefusalsAreBounded: the oldest is forgotten first, and those who only ask too early push nobody out.
func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	r.keep(signing.Answer{Code: "ok"})
	for i := range adminapi.MaxRefusals + 10 {
		r.keep(signing.Answer{Status: 400, Code: "claims", RequestID: fmt.Sprint(i)})
		r.keep(signing.Answer{Status: 404, Code: "not_signed", RequestID: fmt.Sprint("early-", i)})
	}
	all := r.latest(func(adminapi.Refusal) bool { return true })
	if len(all) != adminapi.MaxRefusals+maxEarly {
		t.Fatalf("%d remembered", len(all))
	}
	for id, want := range map[string]int{"9": 0, "10": 1, fmt.Sprint(adminapi.MaxRefusals + 9): 1, "early-9": 0, fmt.Sprint("early-", adminapi.MaxRefusals+9): 1} {
		if got := r.latest(func(report adminapi.Refusal) bool { return report.RequestID == id }); len(got) != want {
			t.Errorf("request %s: %d", id, len(got))
		}
	}
}

// TestRunningApps: after a failed reload the app that goes on is the latest again.
func TestRunningApps(t *testing.T) {
	var l apps
	one, two := &App{}, &App{}
	l.remove(one)
	l.add(one)
	l.add(two)
	if l.latest() != two {
		t.Error("not the latest")
	}
	l.remove(two)
	if l.latest() != one {
		t.Error("the one that goes on is not found")
	}
	if l.remove(one); l.latest() != nil {
		t.Error("one that has ended is found")
	}
}

// TestAdminIsDescribed: the description has the endpoints that there are, and no other.
func TestAdminIsDescribed(t *testing.T) {
	described := map[string]bool{}
	for path, item := range descriptiontest.Lint(t, "adminapi/openapi/openapi.json").Paths.Map() {
		for method := range item.Operations() {
			described[method+" /countersign"+path] = true
		}
	}
	routes := Admin{}.Routes()
	for _, route := range routes {
		if !described[route.Pattern] {
			t.Errorf("%s is not described", route.Pattern)
		}
	}
	if len(described) != len(routes) {
		t.Errorf("%d endpoints are described, and there are %d", len(described), len(routes))
	}
}

// brokenStore is a store that is open and does not answer.
type brokenStore struct{ store.Store }

func (brokenStore) Get(context.Context, ...string) ([]store.Record, error) {
	return nil, store.ErrUnavailable
}

// TestReady: 503 until the store is open and answers; a gateway that keeps nothing needs none.
func TestReady(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "/countersign/ready", http.NoBody)
	opened := func(s store.Store) *App {
		a := &App{engine: &Memory{}, needed: true}
		if _, err := a.store.Acquire("store of "+t.Name(), func() (*openStore, error) {
			return newOpenStore(s, nil, nil), nil
		}); err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, c := range map[string]struct {
		app  *App
		want int
	}{
		"nothing kept": {&App{engine: &Memory{}}, 200},
		"not open yet": {&App{engine: &Memory{}, needed: true}, 503},
		"open":         {opened(memory.New(memory.Options{})), 200},
	} {
		if status, body := c.app.adminReady(request); status != c.want {
			t.Errorf("%s: %d %v", name, status, body)
		}
		if err := c.app.store.Release(); err != nil {
			t.Error(err)
		}
	}
	broken := opened(brokenStore{memory.New(memory.Options{})})
	if status, body := broken.adminReady(request); status != 503 || !strings.Contains(fmt.Sprint(body), "does not answer") {
		t.Errorf("broken: %d %v", status, body)
	}
	if err := broken.store.Release(); err != nil {
		t.Error(err)
	}
	if status, _ := broken.adminReady(request); status != 503 {
		t.Errorf("released: %d", status)
	}
}
