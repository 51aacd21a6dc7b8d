package signing

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/store"
)

// A store can make a change and lose its answer on the way. A release of which nobody knew whether it was kept is found
// to be, and told as one: neither as lost to the observer, nor as not kept to the audit log.
func TestAReleaseWhoseAnswerIsLost(t *testing.T) {
	told := &watcher{}
	w, a := audited(t, func(o *Options) { o.Observer = told })
	b, ticket := w.opened(RS256, 2, "")
	w.store.fail(nil, func(batch store.Batch) error {
		if !slices.ContainsFunc(batch.Then, func(op store.Op) bool { return op.Put != nil && strings.HasPrefix(op.Put.Key, "result/") }) {
			return nil
		}
		w.store.fail(nil, nil)
		return errors.Join(w.store.Store.Commit(t.Context(), batch), store.ErrUnavailable)
	})
	mustBe(t, b.sign(), http.StatusAccepted)
	await(t, "the end of the run", func() bool { told.mu.Lock(); defer told.mu.Unlock(); return len(told.runs) == 1 })
	mustBe(t, w.fetch(ticket.Token), http.StatusOK)
	if got := told.runs[0].Outcome; got != "signed" {
		t.Errorf("the run is told as %s", got)
	}
	if got := a.outcomes(); !slices.Equal(got, []string{"signed"}) {
		t.Errorf("the audit log has %v", got)
	}
}
