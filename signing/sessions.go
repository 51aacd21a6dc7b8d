package signing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// sessions keeps sessions in a store: the session itself in one small record that changes, its payloads and
// its signatures in records that never do.
type sessions struct {
	packer
	store store.Store
	now   func() time.Time
	tries int // see session.settle

	entered func(context.Context, State) // is told of each state that a session is brought into
	queued  func(client string)          // is told that a webhook is due
}

// errUnchanged is for a change that finds nothing to do: the session stays as it stands.
var errUnchanged = errors.New("the session stays as it is")

func sessionKey(id string) string         { return "session/" + id }
func payloadKey(id string, n int) string  { return fmt.Sprintf("payloads/%s/%d", id, n) }
func resultKey(id string, n int) string   { return fmt.Sprintf("result/%s/%d", id, n) }
func clientIndex(client string) string    { return "client/" + client }
func encode(value any) ([]byte, error)    { return json.Marshal(value) }
func decode(data []byte, value any) error { return json.Unmarshal(data, value) }

// errNoSession is what every call that names a session answers when there is none for it.
func errNoSession() *Error {
	return failure(http.StatusNotFound, "not_found", "No signature request for specified token")
}

// create keeps a new session with its payloads, and the record that says its request is known, in one commit.
// A *store.Conflict says that the request is known already.
func (s *sessions) create(ctx context.Context, fresh *session, payloads []item, gone time.Time, known store.Record) error {
	chunks := s.pack(payloads)
	fresh.Payloads, fresh.Gone = len(chunks), gone
	kept, err := fresh.record()
	if err != nil {
		return err
	}
	batch := store.Batch{
		If:   []store.Check{{Key: known.Key}, {Key: sessionKey(fresh.ID)}},
		Then: []store.Op{{Put: &known}, {Put: &kept}},
	}
	for n, chunk := range chunks {
		batch.Then = append(batch.Then, store.Op{Put: &store.Record{Key: payloadKey(fresh.ID, n), Value: chunk, Expires: gone}})
	}
	if fresh.tellable() {
		announced, err := s.announce(fresh)
		if err != nil {
			return err
		}
		batch.Then = append(batch.Then, announced)
	}
	if err := s.store.Commit(ctx, batch); err != nil {
		return err
	}
	s.entered(ctx, fresh.State)
	return nil
}

// get returns a session as it stands now, and the version of its record.
func (s *sessions) get(ctx context.Context, id string) (*session, store.Version, error) {
	records, err := s.store.Get(ctx, sessionKey(id))
	if err != nil {
		return nil, 0, err
	}
	if records[0].Version == 0 {
		return nil, 0, errNoSession()
	}
	found := &session{}
	if err := decode(records[0].Value, found); err != nil {
		return nil, 0, fmt.Errorf("session %s: %w", id, err)
	}
	now := s.now()
	found.settle(now, s.tries)
	if found.vanished(now) {
		return nil, 0, errNoSession()
	}
	return found, records[0].Version, nil
}

// change reads a session, lets the caller change it, and commits it together with more operations that the
// caller returns, if nobody changed it meanwhile; else it starts over. An error of the caller changes nothing, and
// is returned with the session as it stands.
func (s *sessions) change(ctx context.Context, id string, apply func(*session) ([]store.Op, error)) (*session, error) {
	for {
		current, version, err := s.get(ctx, id)
		if err != nil {
			return nil, err
		}
		before := current.State
		more, err := apply(current)
		if err != nil {
			return current, err
		}
		ends := current.tellable() && current.State.Over() && !before.Over()
		if ends {
			told, err := s.tell(current)
			if err != nil {
				return current, err
			}
			more = append(more, told)
		}
		err = s.commit(ctx, current, version, more)
		if err == nil && current.State != before {
			s.entered(ctx, current.State)
		}
		if err == nil && ends {
			s.queued(current.Client)
		}
		var conflict *store.Conflict
		if errors.As(err, &conflict) && ctx.Err() == nil {
			continue
		}
		return current, err
	}
}

func (s *sessions) commit(ctx context.Context, changed *session, version store.Version, more []store.Op) error {
	record, err := changed.record()
	if err != nil {
		return err
	}
	return s.store.Commit(ctx, store.Batch{
		If:   []store.Check{{Key: record.Key, Version: version}},
		Then: append([]store.Op{{Put: &record}}, more...),
	})
}

// record is how a session stands in the store.
func (s *session) record() (store.Record, error) {
	value, err := encode(s)
	return store.Record{Key: sessionKey(s.ID), Value: value, Expires: s.Gone, Index: clientIndex(s.Client)}, err
}

// payloads reads the items of a session, in the request's order.
func (s *sessions) payloads(ctx context.Context, of *session) ([]item, error) {
	return s.items(ctx, of.ID, of.Payloads, payloadKey)
}

// result reads what was released: the certificate first, then the signatures in the request's order.
func (s *sessions) result(ctx context.Context, of *session) ([]item, error) {
	return s.items(ctx, of.ID, of.Result, resultKey)
}

func (s *sessions) items(ctx context.Context, id string, chunks int, key func(string, int) string) ([]item, error) {
	keys := make([]string, chunks)
	for n := range keys {
		keys[n] = key(id, n)
	}
	records, err := s.store.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	packed := make([][]byte, chunks)
	for n, record := range records {
		if record.Version == 0 {
			return nil, errNoSession().withDetail("record %d of session %s is gone", n, id)
		}
		packed[n] = record.Value
	}
	return s.unpack(packed)
}
