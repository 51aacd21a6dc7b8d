package signing

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Summary is what an operator may see of a session: neither its token, nor the person, nor what is signed.
type Summary struct {
	ID        string  `json:"id"` // the beginning of the token's SHA-256, as in the log
	Client    string  `json:"client"`
	State     State   `json:"state"`
	Reason    *Reason `json:"reason,omitempty"` // why it is not signed
	Algorithm string  `json:"algorithm"`
	Items     int     `json:"items"`
	Done      int     `json:"done"` // items signed in the present run
	Tries     int     `json:"tries"`
	TriesLeft int     `json:"triesLeft"`
	Mock      bool    `json:"mock"`
	Fetched   bool    `json:"fetched"` // handed out for the one time that is configured, and gone

	Created  time.Time `json:"created"`
	Deadline time.Time `json:"deadline"`        // to be signed before
	Lease    time.Time `json:"lease,omitzero"`  // while signing: when a run that has died is given up
	Signed   time.Time `json:"signed,omitzero"` // when its signatures were verified
	Until    time.Time `json:"until,omitzero"`  // once it is over: how long its outcome can be fetched
}

// Sessions returns the sessions of a client in the order of their ids, those after the id given, from at most limit
// records. more is the id to go on after, or "" after the last one.
func (s *Service) Sessions(ctx context.Context, client, after string, limit int) (found []Summary, more string, err error) {
	records, err := s.Store.List(ctx, clientIndex(client), sessionKey(after), limit)
	if err != nil {
		return nil, "", err
	}
	now := s.Now()
	for n, record := range records {
		id, isSession := strings.CutPrefix(record.Key, sessionKey(""))
		if !isSession {
			return found, "", nil // keys sort, so no session follows
		}
		current := &session{}
		if err := decode(record.Value, current); err != nil {
			return nil, "", err
		}
		if current.settle(now, s.Tries); !current.vanished(now) {
			found = append(found, s.summary(current))
		}
		if n == limit-1 {
			more = id
		}
	}
	return found, more, nil
}

// Session returns one session by its id; found is false where there is none.
func (s *Service) Session(ctx context.Context, id string) (summary Summary, found bool, err error) {
	current, _, err := s.sessions.get(ctx, id)
	switch {
	case isGone(err):
		return Summary{}, false, nil
	case errors.Is(err, store.ErrInvalid): // no id is that long
		return Summary{}, false, nil
	case err != nil:
		return Summary{}, false, err
	}
	return s.summary(current), true, nil
}

func (s *Service) summary(of *session) Summary {
	summary := Summary{
		ID: of.ID, Client: of.Client, State: of.State, Algorithm: of.Algorithm,
		Items: of.Total, Done: of.signedItems(), Tries: of.Tries, TriesLeft: max(s.Tries-of.Tries, 0), Mock: of.Mock, Fetched: of.Fetched,
		Created: of.Created, Deadline: of.Deadline, Lease: of.Lease, Signed: of.Signed, Until: of.Until,
	}
	if code := cmp.Or(of.Reason, of.refused()); code != "" {
		summary.Reason = reasonFor(code)
	}
	if of.State != StateSigning {
		summary.Lease = time.Time{}
	}
	return summary
}
