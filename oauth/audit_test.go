package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/store"
)

// auditor keeps records, or fails.
type auditor struct {
	mu      sync.Mutex // guards records; the others are set while nothing records
	records []AuditRecord
	err     error
	kept    func() // happens when a record stands, before anything else does
}

func (a *auditor) Err() error { return a.err }

func (a *auditor) Record(_ context.Context, record AuditRecord) error {
	if a.err != nil {
		return a.err
	}
	a.mu.Lock()
	a.records = append(a.records, record)
	a.mu.Unlock()
	if kept := a.kept; kept != nil {
		a.kept = nil
		kept()
	}
	return nil
}

func TestATokenIsRecordedBeforeItIsTold(t *testing.T) {
	w, a := newWorld(t), &auditor{}
	w.Auditor = a
	token := w.token(t, "acme", "acme-1")
	if len(a.records) != 1 {
		t.Fatalf("%d records of one token", len(a.records))
	}
	r := a.records[0]
	if r.Client != "acme" || r.KID != "acme-1" || r.Token != tokenName(token) || strings.Contains(token, r.Token) ||
		!r.Issued.Equal(w.clock.Now()) || r.Expires.Sub(r.Issued) != tokenLife || len(r.Products) != 2 {
		t.Errorf("record %+v", r)
	}
	used, limited := form(mint(t, "acme-1", w.claimsOf("acme"))), 0
	w.post(used)
	for range 4 {
		if a := w.post(form(mint(t, "acme-1", w.claimsOf("limited")))); a.status == http.StatusOK {
			limited++
		}
	}
	for range 3 {
		mustRefuse(t, w.post(used), row{400, "invalid_request", "Non-unique 'jti' claim in client_assertion JWT"})
	}
	w.post(form("nonsense"))
	if len(a.records) != 2+limited || limited != 3 {
		t.Errorf("%d records of %d tokens: a refusal is recorded as one", len(a.records), 2+limited)
	}
}

func TestATokenThatCannotBeRecordedIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.Auditor = &auditor{err: errors.New("disk full")}
	a := w.post(form(mint(t, "acme-1", w.claimsOf("acme"))))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.fields["access_token"] != nil {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.AuditOptional = true
	w.token(t, "acme", "acme-1")
}

// asks are requests of each grant, each of which is good once.
func (w *userWorld) asks(t *testing.T) map[string]url.Values {
	t.Helper()
	w.stub.key = keys()["acme-2"].Key()
	w.stub.person.Party = "gateway"
	subject := mint(t, "acme-2", map[string]any{"iss": w.stub.Issuer(), "aud": "gateway", "sub": "1", "exp": w.clock.Now().Unix() + 240})
	proof := func(grant string, more url.Values) url.Values {
		proven := form(mint(t, "acme-1", w.claimsOf("acme")))
		proven.Set("grant_type", grant)
		maps.Copy(proven, more)
		return proven
	}
	fresh := func() string { return fmt.Sprint(w.redeem(w.back(t).Get("code")).fields["refresh_token"]) }
	return map[string]url.Values{
		"client_credentials": form(mint(t, "acme-1", w.claimsOf("acme"))),
		"code":               w.redeeming(w.back(t).Get("code")),
		"refresh":            w.refreshing(fresh()),
		"refresh by a key":   proof(grantRefresh, url.Values{"refresh_token": {fresh()}}),
		"exchange":           proof(grantExchange, url.Values{"subject_token_type": {tokenTypeID}, "subject_token": {subject}}),
	}
}

// An audit log that cannot be written spends nothing: whoever asks again, with the very same, gets a token.
func TestAFailingAuditSpendsNothing(t *testing.T) {
	w := newUserWorld(t)
	acme := w.Clients["acme"]
	acme.Rate = 100
	w.Clients["acme"] = acme
	for grant, form := range w.asks(t) {
		before := w.records(t)
		w.audit.err = errors.New("disk full")
		for range 2 {
			if a := w.post(form); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.fields["access_token"] != nil {
				t.Errorf("%s: %d %s", grant, a.status, a.body)
			}
		}
		if after := w.records(t); !slices.Equal(after, before) {
			t.Errorf("%s: the store has %v, and had %v", grant, after, before)
		}
		w.audit.err = nil
		w.mustWork(t, grant, w.post(form))
		if a := w.post(form); a.status == http.StatusOK {
			t.Errorf("%s: it is good twice", grant)
		}
	}
}

// mustWork holds that an answer has a token that is in force, and can be refreshed if it is a user's.
func (w *userWorld) mustWork(t *testing.T, grant string, a answer) {
	t.Helper()
	token, _ := a.fields["access_token"].(string)
	if _, err := w.check.Check(t.Context(), "Bearer "+token); err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", grant, a.status, a.body, err)
	}
	if next := a.fields["refresh_token"]; next != nil {
		if again := w.refreshed(next); again.status != http.StatusOK {
			t.Errorf("%s, refreshed: %d %s", grant, again.status, again.body)
		}
	}
}

// A gateway that dies when the record stands and nothing else does has spent nothing.
func TestACrashBetweenAuditAndCommit(t *testing.T) {
	w := newUserWorld(t)
	for grant, form := range w.asks(t) {
		before, records := w.records(t), len(w.audit.records)
		w.audit.kept = func() {
			if after := w.records(t); !slices.Equal(after, before) {
				t.Errorf("%s: something is kept before its record stands: %v, and before %v", grant, after, before)
			}
			panic("killed")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it does not come to a record", grant)
				}
			}()
			w.post(form)
		}()
		if got := len(w.audit.records) - records; got != 1 {
			t.Errorf("%s: %d records", grant, got)
		}
		w.mustWork(t, grant, w.post(form))
	}
}

// What is recorded and then cannot be kept is recorded as that, and spends nothing either.
func TestATokenThatIsRecordedAndNotKept(t *testing.T) {
	w := newUserWorld(t)
	for grant, form := range w.asks(t) {
		first := len(w.audit.records)
		w.audit.kept = func() { w.store.fail(store.ErrUnavailable) }
		if a := w.post(form); a.status != http.StatusServiceUnavailable || a.fields["access_token"] != nil {
			t.Errorf("%s: %d %s", grant, a.status, a.body)
		}
		w.store.fail(nil)
		if records := w.audit.records[first:]; len(records) != 2 || records[0].Outcome != "" || records[1].Outcome != "not_kept" ||
			records[0].Token != records[1].Token || records[0].Client != "acme" {
			t.Errorf("%s: records %+v", grant, records)
		}
		w.mustWork(t, grant, w.post(form))
	}
}
