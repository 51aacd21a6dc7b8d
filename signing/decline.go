package signing

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/seed-dd2befc3/countersign/store"
)

// declineSession gives a request back unsigned, for the person has found something wrong with some of its items. The
// client learns which: at the callback only that there are some, by webhook and with the 410 their ids.
func (s *Service) declineSession(w http.ResponseWriter, r *http.Request) error {
	read, base, err := s.readCallOf(w, r, maxNamed)
	if err != nil {
		return err
	}
	held, err := s.claimOf(r, base, read.ID)
	if err != nil {
		return err
	}
	if err := s.demandSignIn(w, r, base, read.ID, held, ""); err != nil {
		return err
	}
	asked, _, err := s.sessions.get(r.Context(), read.ID)
	if err != nil {
		return err
	}
	items, err := s.sessions.payloads(r.Context(), asked)
	if err != nil {
		return err
	}
	declined, err := namedItems(items, read.Declined)
	if err != nil {
		return err
	}
	found, err := s.sessions.change(r.Context(), read.ID, func(current *session) ([]store.Op, error) {
		if err := held.check(current); err != nil {
			return nil, err
		}
		if current.State.Over() {
			return nil, errUnchanged
		}
		if err := s.checkSignedIn(current); err != nil {
			return nil, err
		}
		current.Declined = idsOf(declined)
		current.end(StateCancelled, reasonDeclined, current.Gone)
		return nil, nil
	})
	switch {
	case err == nil:
		s.auditDeclined(r.Context(), found, declined)
		s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "session given back",
			slog.String("session", found.ID), slog.String("client", found.Client), slog.Int("declined", len(declined)),
			slog.String("request_id", w.Header().Get(headerRequestID)))
	case !errors.Is(err, errUnchanged):
		return err
	}
	writeJSON(w, http.StatusOK, s.viewOf(found, held))
	return nil
}

// namedItems returns the items with these ids, in the order of the request.
func namedItems(items []item, ids []string) ([]item, error) {
	named := make(map[string]bool, len(ids))
	for _, id := range ids {
		named[id] = true
	}
	var found []item
	for _, it := range items {
		if named[it.ID] {
			found = append(found, it)
		}
	}
	if len(found) == 0 || len(found) != len(ids) {
		return nil, badRequest("malformed", "The call names the items that something is wrong with: one at least, each once, and of this request")
	}
	return found, nil
}

func idsOf(items []item) []string {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.ID
	}
	return ids
}
