package signing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// auditor keeps records in memory, or fails as it is told.
type auditor struct {
	mu      sync.Mutex
	records []AuditRecord
	fail    func(AuditRecord) error
}

func (a *auditor) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail == nil {
		return nil
	}
	return a.fail(AuditRecord{})
}

func (a *auditor) Record(_ context.Context, record AuditRecord) (client.AuditEntry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		if err := a.fail(record); err != nil {
			return client.AuditEntry{}, err
		}
	}
	a.records = append(a.records, record)
	return client.AuditEntry{Node: "gw-1", Number: uint64(len(a.records)), Hash: "9f86"}, nil
}

func (a *auditor) fails(fail func(AuditRecord) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = fail
}

func (a *auditor) outcomes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, record := range a.records {
		all = append(all, strings.TrimSuffix(record.Outcome+" "+record.Reason, " "))
	}
	return all
}

func audited(t *testing.T, change func(*Options)) (*world, *auditor) {
	t.Helper()
	a := &auditor{}
	return newWorld(t, func(o *Options) {
		o.Auditor = a
		if change != nil {
			change(o)
		}
	}), a
}

func TestARecordSaysWhoSignedWhat(t *testing.T) {
	w, a := audited(t, nil)
	w.ran(RS256, 3)
	if len(a.records) != 1 {
		t.Fatalf("%d records of one batch", len(a.records))
	}
	r := a.records[0]
	card := sha256.Sum256(w.agent.card)
	if r.Outcome != "signed" || r.Client != acme || r.Algorithm != RS256 || r.Agent != "mock" || r.Try != 1 ||
		r.Sub == "" || r.Session == "" || !r.Requested.Equal(w.clock.Now()) || len(r.Items) != 3 ||
		r.Certificate == nil || r.Certificate.SHA256 != hex.EncodeToString(card[:]) {
		t.Errorf("record: %+v", r)
	}
	if r.Items[0].ID == r.Items[1].ID || r.Items[0].Digest == "" || r.Items[0].SHA256 == r.Items[1].SHA256 {
		t.Errorf("items: %+v", r.Items)
	}
}

// Nothing is released that could not be recorded, and the person can try again.
func TestAFailedRecordRefusesTheRelease(t *testing.T) {
	w, a := audited(t, nil)
	a.fails(func(AuditRecord) error { return errors.New("disk full") })
	b, ticket := w.opened(RS256, 2, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	if got := b.settled(); got.State != StateOpened || got.Reason == nil || got.Reason.Code != reasonAudit || !got.Reason.Retry {
		t.Fatalf("the session: %+v", got)
	}
	mustBe(t, w.fetch(ticket.Token), http.StatusNotFound)
	await(t, "the log's line that says why", func() bool { return strings.Contains(w.logs.String(), "disk full") })
	a.fails(nil)
	mustBe(t, b.sign(), http.StatusAccepted)
	if got := b.settled(); got.State != StateSigned {
		t.Fatalf("after the disk was mended: %+v", got)
	}
}

func TestARecordMayBeOptional(t *testing.T) {
	w, a := audited(t, func(o *Options) { o.AuditOptional = true })
	a.fails(func(AuditRecord) error { return errors.New("disk full") })
	if got, _ := w.ran(RS256, 1); got.State != StateSigned {
		t.Errorf("the session: %+v", got)
	}
	if !strings.Contains(w.logs.String(), "the audit log lacks a record") {
		t.Error("the log does not say that a record is missing")
	}
}

// The record stands before the release: at the moment that it is made, nothing can be fetched yet.
func TestTheRecordComesFirst(t *testing.T) {
	w, a := audited(t, nil)
	b, ticket := w.opened(RS256, 1, "")
	var fetched int
	a.fails(func(AuditRecord) error { fetched = w.fetch(ticket.Token).Code; return nil })
	mustBe(t, b.sign(), http.StatusAccepted)
	b.settled()
	if fetched != http.StatusNotFound {
		t.Errorf("while the record was made the signatures answered %d", fetched)
	}
}

func TestOutcomesAreRecorded(t *testing.T) {
	w, a := audited(t, nil)
	w.agent.fails(&smartcard.Error{Code: smartcard.CodeNoCard})
	b, _ := w.opened(RS256, 1, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	b.settled()
	mustBe(t, b.cancel(), http.StatusOK)
	w.agent.does(nil)
	var released atomic.Bool
	w.store.fail(nil, func(batch store.Batch) error { // the release, and nothing else, conflicts for good
		if slices.ContainsFunc(batch.Then, func(op store.Op) bool { return op.Put != nil && strings.HasPrefix(op.Put.Key, "result/") }) {
			released.Store(true)
			return errors.New("the engine is broken")
		}
		return nil
	})
	b, _ = w.opened(RS256, 2, "")
	mustBe(t, b.sign(), http.StatusAccepted)
	want := []string{"failed no_card", "cancelled cancelled_by_person", "signed", "not_kept interrupted"}
	await(t, "the record of a release that was not kept", func() bool { return slices.Equal(a.outcomes(), want) })
	if !released.Load() {
		t.Error("the release was never tried")
	}
}

// watcher counts what it is told.
type watcher struct {
	mu      sync.Mutex
	answers []Answer
	states  []State
	runs    []Run
}

func (o *watcher) Answered(_ context.Context, a Answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers = append(o.answers, a)
}

func (o *watcher) Entered(_ context.Context, s State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.states = append(o.states, s)
}

func (o *watcher) RunEnded(_ context.Context, r Run) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.runs = append(o.runs, r)
}

func TestTheObserverIsTold(t *testing.T) {
	o := &watcher{}
	w := newWorld(t, func(options *Options) { options.Observer = o })
	w.ran(RS256, 2)
	w.fetch("nonsense")
	await(t, "the end of the run", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.runs) == 1 })
	o.mu.Lock()
	defer o.mu.Unlock()
	if want := []State{StateCreated, StateOpened, StateSigning, StateSigned}; !slices.Equal(o.states, want) {
		t.Errorf("states %v, want %v", o.states, want)
	}
	if run := o.runs[0]; run.Agent != "mock" || run.Outcome != "signed" || run.Items != 2 {
		t.Errorf("run %+v", run)
	}
	last := o.answers[len(o.answers)-1]
	if last.Endpoint != "/signatureresponse" || last.Status != http.StatusBadRequest || last.Code != "token" || last.RequestID == "" {
		t.Errorf("answer %+v", last)
	}
	if first := o.answers[0]; first.Endpoint != "/signaturerequest" || first.Code != "ok" || first.Status != 0 {
		t.Errorf("answer %+v", first)
	}
}
