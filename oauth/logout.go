package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/seed-dd2befc3/countersign/intake"
)

// maxLogout is how many sign-ins are read at one time while they are ended.
const maxLogout = 100

// logout ends the sign-ins that the provider says are over (TOK-8.4 to TOK-8.12). A token that comes again finds none of
// them, and does no harm.
func (a *Authorizer) logout(w http.ResponseWriter, r *http.Request) error {
	if !isForm(r.Header.Get("Content-Type")) {
		return tell(bad("Content-Type header must be application/x-www-form-urlencoded"))
	}
	return a.withForm(w, r, func(place *intake.Taken, form url.Values) error {
		if err := a.logoutBy(place, form["logout_token"]); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	})
}

func (a *Authorizer) logoutBy(place *intake.Taken, sent []string) error {
	ctx := place.Context()
	sid, err := a.loggedOut(ctx, sent)
	if err != nil {
		return err
	}
	if err := place.Prove(); err != nil {
		return err
	}
	if err := a.markEnded(ctx, a.Provider.Issuer(), sid); err != nil { // first, so that nothing begins behind the search
		return logoutFailed(err)
	}
	ended, err := a.endSignIns(ctx, sid)
	switch {
	case err != nil:
		return logoutFailed(err)
	case ended == 0:
		return errUnknownSID
	}
	a.Logger.LogAttrs(ctx, slog.LevelInfo, "logged out by the provider", slog.Int("families", ended))
	return nil
}

// errUnknownSID is that no sign-in here is of the session that is over (TOK-8.11).
var errUnknownSID = &Error{Status: http.StatusNotImplemented, Code: codeNotImplemented, Description: "SID not found", bare: true}

// logoutFailed is that a right logout token could not be obeyed.
func logoutFailed(err error) error {
	return &Error{Status: http.StatusNotImplemented, Code: codeNotImplemented, Description: "Logout Failed", bare: true, detail: err.Error()}
}

// endSignIns ends the families of the provider's session.
func (a *Authorizer) endSignIns(ctx context.Context, sid string) (ended int, err error) {
	for after := ""; ; {
		found, err := a.Store.List(ctx, sidIndex(a.Provider.Issuer(), sid), after, maxLogout)
		if err != nil {
			return ended, fmt.Errorf("looking for sign-ins to end: %w", err)
		}
		for _, record := range found {
			after = record.Key
			if err := a.revoke(ctx, string(record.Value)); err != nil {
				return ended, err
			}
			ended++
		}
		if len(found) < maxLogout {
			return ended, nil
		}
	}
}
