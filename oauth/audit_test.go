package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// auditor keeps records, or fails.
type auditor struct {
	records []AuditRecord
	err     error
}

func (a *auditor) Record(_ context.Context, record AuditRecord) error {
	if a.err == nil {
		a.records = append(a.records, record)
	}
	return a.err
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
	w.post(form("nonsense"))
	if len(a.records) != 1 {
		t.Error("a refusal is recorded as a token")
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
