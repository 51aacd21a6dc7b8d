package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/store"
)

// Logout is a verified logout token. SID, User or both are given.
type Logout struct {
	Issuer  string
	ID      string // its jti
	SID     string
	User    string
	Issued  time.Time // its iat
	Expires time.Time
}

// maxLogout is how many sign-ins are read at one time while they are ended.
const maxLogout = 100

// logout ends the sign-ins that the provider says are over (OpenID Connect Back-Channel Logout §2.5 to §2.8).
func (a *Authorizer) logout(w http.ResponseWriter, r *http.Request) error {
	if !isForm(r.Header.Get("Content-Type")) {
		return tell(bad("Content-Type header must be application/x-www-form-urlencoded"))
	}
	return a.withForm(w, r, func(place *intake.Taken, form url.Values) error { return a.logoutBy(w, place, form) })
}

func (a *Authorizer) logoutBy(w http.ResponseWriter, place *intake.Taken, form url.Values) error {
	ctx := place.Context()
	if len(form["logout_token"]) != 1 {
		return tell(bad("logout_token is missing, or given more than once"))
	}
	token, err := a.Provider.Logout(ctx, form.Get("logout_token"))
	if errors.Is(err, ErrDenied) {
		return withWhy(bad("logout_token is invalid"), err.Error())
	}
	if err != nil {
		e := unforeseen(http.StatusServiceUnavailable, "The provider's keys cannot be fetched at the moment; try again later")
		e.RetryAfter = 5 * time.Second
		return e.withDetail(err.Error())
	}
	if err := place.Prove(); err != nil {
		return err
	}
	used := &store.Record{Key: "logout/" + digest(token.Issuer, token.ID), Value: []byte{1}, Expires: token.Expires.Add(jtiSkew)}
	found, err := a.Store.Get(ctx, used.Key)
	if err != nil {
		return err
	}
	if found[0].Version != 0 {
		return tell(bad("logout_token was used before"))
	}
	if err := a.markEnded(ctx, token); err != nil { // first, so that nothing begins behind the search
		return err
	}
	ended, err := a.endSignIns(ctx, token)
	if err != nil {
		return err
	}
	// Spent last, so that a token whose work was not done can come again. Two of it at one time do no harm.
	if err := a.Store.Commit(ctx, store.Batch{Then: []store.Op{{Put: used}}}); err != nil {
		return err
	}
	a.Logger.LogAttrs(ctx, slog.LevelInfo, "logged out by the provider", slog.Int("families", ended))
	w.WriteHeader(http.StatusOK)
	return nil
}

// endSignIns ends the families of the provider's session or, where it names none, all of the person's.
func (a *Authorizer) endSignIns(ctx context.Context, token Logout) (ended int, err error) {
	index := sidIndex(token.Issuer, token.SID)
	if token.SID == "" {
		index = personIndex(token.Issuer, token.User)
	}
	for after := ""; ; {
		found, err := a.Store.List(ctx, index, after, maxLogout)
		if err != nil {
			return ended, fmt.Errorf("looking for sign-ins to end: %w", err)
		}
		for _, record := range found {
			after = record.Key
			id := string(record.Value)
			if token.SID == "" {
				id = record.Key[len("family/"):]
			}
			if err := a.revoke(ctx, id); err != nil {
				return ended, err
			}
			ended++
		}
		if len(found) < maxLogout {
			return ended, nil
		}
	}
}
