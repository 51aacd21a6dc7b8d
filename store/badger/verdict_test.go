package badger

import (
	"context"
	"errors"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/store"
)

// A read during a commit's fsync returns the commit once it is durable, and never if it fails, although Badger has it in
// memory by then.
func TestNothingIsReadBeforeItIsKept(t *testing.T) {
	for name, outcome := range map[string]error{"kept": nil, "failed": errors.New("sync: input/output error")} {
		t.Run(name, func(t *testing.T) {
			written, known := make(chan struct{}), make(chan struct{})
			s := open(t, Options{Dir: t.TempDir(), commit: func(txn *engine.Txn) error {
				if err := txn.Commit(); err != nil {
					return err
				}
				close(written)
				<-known
				return outcome
			}})
			committed := make(chan error, 1)
			go func() {
				committed <- s.Commit(t.Context(), put("a", []byte("1")))
			}()
			<-written
			soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if found, err := s.Get(soon, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Get before the outcome is known: got %+v, %v, want it to wait", found, err)
			}
			read := make(chan error, 1)
			go func() {
				found, err := s.Get(t.Context(), "a")
				if err == nil && string(found[0].Value) != "1" {
					err = errors.New("the record is missing")
				}
				read <- err
			}()
			close(known)
			for what, ended := range map[string]chan error{"commit": committed, "reading": read} {
				if err := <-ended; (outcome == nil) != (err == nil) || err != nil && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: got %v, want success %v", what, err, outcome == nil)
				}
			}
		})
	}
}
