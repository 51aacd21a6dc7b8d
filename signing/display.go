package signing

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
	"github.com/seed-dd2befc3/countersign/store"
)

// Displays find what can be shown of payloads.
type Displays interface {
	// Any reports whether displays are kept at all. If not, the page has ids and digests, and says nothing about it.
	Any() bool
	// Find returns what each payload signs, in their order: nil where that is not proven for this client. It tells also
	// which of them the person has looked at. What it finds is kept at least until the time given.
	Find(ctx context.Context, client, person string, payloads [][]byte, until time.Time) (found []*prescription.Prescription, looked []bool, err error)
	// Look keeps for as long as what Find returns that a person has looked at these payloads, or has not.
	Look(ctx context.Context, client, person string, payloads [][]byte, looked bool) error
}

// DisplayRules say what follows from displays.
type DisplayRules struct {
	Required bool // nothing is signed that was not shown
	Fallback bool // … unless there is no display: then it is signed by ids and digests, as without Required
	Print    bool // patients may be on paper
}

// refuses says whether what cannot be shown must not be signed.
func (r DisplayRules) refuses() bool { return r.Required && !r.Fallback }

// What a session's page has shown.
const (
	displayShown    = "shown"    // every prescription
	displayFallback = "fallback" // ids and digests, for want of a display
)

// outcomeDisplayed is of an AuditRecord when prescriptions are shown.
const outcomeDisplayed = "displayed"

// displayMode is what the page is told to do about displays: nothing, ask, or sign nothing that it has not shown.
func (s *Service) displayMode() string {
	switch {
	case s.Displays == nil || !s.Displays.Any() || s.production() && s.SignIn == nil:
		return ""
	case s.DisplayRules.refuses():
		return "required"
	}
	return "optional"
}

// showPrescriptions answers with what is behind the payloads of a session, if that is proven for all of them. It is for
// the browser that holds the session, while its person is signed in and the session is not over.
func (s *Service) showPrescriptions(w http.ResponseWriter, r *http.Request) error {
	read, base, err := s.readCall(w, r)
	if err != nil {
		return err
	}
	found, held, err := s.displayable(w, r, base, read.ID)
	if err != nil {
		return err
	}
	items, err := s.sessions.payloads(r.Context(), found)
	if err != nil {
		return err
	}
	payloads := make([][]byte, len(items))
	for i, it := range items {
		payloads[i] = it.Payload
	}
	prescriptions, looked, err := s.Displays.Find(r.Context(), found.Client, found.Sub, payloads, found.Gone)
	if err != nil {
		return unavailable("displays: " + err.Error())
	}
	shown := newDisplay(items, prescriptions, looked, s.DisplayRules)
	if shown.Code, err = batchCode(items); err != nil {
		return err
	}
	if err := s.noteDisplay(r.Context(), found, held, items, shown.Display); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, shown)
	return nil
}

// displayable returns a session whose prescriptions this browser may see.
func (s *Service) displayable(w http.ResponseWriter, r *http.Request, base *url.URL, id string) (*session, claim, error) {
	if s.displayMode() == "" {
		return nil, claim{}, failure(http.StatusConflict, "display_off", "This service shows no prescriptions")
	}
	held, err := s.claimOf(r, base, id)
	if err != nil {
		return nil, claim{}, err
	}
	if err := s.demandSignIn(w, r, base, id, held, ""); err != nil {
		return nil, claim{}, err
	}
	found, _, err := s.sessions.get(r.Context(), id)
	if err != nil {
		return nil, claim{}, err
	}
	return found, held, s.checkDisplayable(r, base, found, held)
}

// checkDisplayable refuses a display to other browsers, to one whose person is not signed in, and of a session that is
// over.
func (s *Service) checkDisplayable(r *http.Request, base *url.URL, found *session, held claim) error {
	if err := held.check(found); err != nil {
		return err
	}
	over := failure(http.StatusConflict, "display_over", "Nothing is shown of this request any more")
	if found.State != StateOpened && found.State != StateSigning {
		return over
	}
	if s.SignIn == nil {
		return nil
	}
	stands, err := s.signedIn(r, base, found)
	if err == nil && !stands {
		err = over.withDetail("nobody is signed in")
	}
	return err
}

// noteDisplay has the session know what was shown, and the audit log, the first time, that something was.
func (s *Service) noteDisplay(ctx context.Context, found *session, held claim, items []item, what string) error {
	if found.Display == what {
		return nil
	}
	if what == displayShown {
		if err := s.auditDisplay(ctx, found, items); err != nil {
			return err
		}
	}
	_, err := s.sessions.change(ctx, found.ID, func(current *session) ([]store.Op, error) {
		if err := held.check(current); err != nil {
			return nil, err
		}
		if current.State.Over() || current.Display == what {
			return nil, errUnchanged
		}
		current.Display = what
		return nil, nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// auditDisplay records that prescriptions are shown, by their digests. Where records are mandatory, nothing is shown
// without one.
func (s *Service) auditDisplay(ctx context.Context, of *session, items []item) error {
	if s.Auditor == nil {
		return nil
	}
	record := auditRecord(of, outcomeDisplayed, "")
	record.Items = auditItems(items)
	_, err := s.Auditor.Record(ctx, record)
	s.noteUnaudited(ctx, of, err)
	if err != nil && !s.AuditOptional {
		return unavailable("the audit log did not take the record of a display: " + err.Error())
	}
	return nil
}

// checkDisplayed holds a session that is about to be signed to the rules.
func (s *Service) checkDisplayed(current *session) error {
	if s.displayMode() != "required" || current.Display == displayShown || current.State.Over() {
		return nil
	}
	return failure(http.StatusConflict, "not_displayed", "This service signs only prescriptions that it has shown, and it has not shown these")
}

// batchCode is what the client can show for the same batch.
func batchCode(items []item) (string, error) {
	payloads := make([]client.Payload, len(items))
	for i, it := range items {
		payloads[i] = client.Payload{ID: it.ID, Payload: base64.StdEncoding.EncodeToString(it.Payload)}
	}
	return client.BatchCode(payloads)
}
