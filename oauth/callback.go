package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/cookies"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/store"
)

// callback takes the browser back from the provider, and gives its client a code.
func (a *Authorizer) callback(w http.ResponseWriter, r *http.Request, told *Answer) error {
	query, err := readQuery(r, "state", "code", "error", "iss")
	if err != nil {
		return err
	}
	base, err := a.parsedBase(r)
	if err != nil {
		return err
	}
	ours, callback := query.Get("state"), base.String()+pathCallback
	begun, err := a.open(r.Context(), cookies.SignIn(r, base, cookieID(ours)), callback, ours)
	if err != nil {
		return err
	}
	if begun == nil {
		return invalidState("there is no sign-in under way with this state in this browser, or it began at another provider")
	}
	told.Client = begun.Client
	place, err := a.SignIns.Take(w, r)
	if err != nil {
		return err
	}
	defer place.Release()
	if client, known := a.Clients[begun.Client]; known && !slices.Contains(client.RedirectURIs, begun.Redirect) {
		return withWhy(bad("redirect_uri is invalid"), "client "+begun.Client+" had registered it when the sign-in began, and has not any more")
	}
	if err := a.Provider.Responds(place.Context(), query.Get("iss")); errors.Is(err, ErrDenied) { //nolint:contextcheck // a place's context is the request's, and ends when the place is given up
		return withWhy(bad("Invalid iss parameter."), err.Error())
	} else if err != nil {
		return a.sendRefusal(w, base, begun, ours, err)
	}
	if used, err := a.finished(place.Context(), ours); err != nil || used { //nolint:contextcheck // a place's context is the request's, and ends when the place is given up
		return cmp.Or(err, invalidState(errLoginUsed.Error()))
	}
	code, err := a.signedIn(place, begun, ours, callback, query) //nolint:contextcheck // a place's context is the request's, and ends when the place is given up
	if errors.Is(err, errLoginUsed) {
		return invalidState(err.Error() + ", at this very moment")
	}
	if errors.Is(err, errLevel) { // told here, not to the client (TOK-7.3)
		cookies.ForgetSignIn(w, base, cookieID(ours))
		return withWhy(notConfigured(), err.Error())
	}
	if err != nil {
		return a.sendRefusal(w, base, begun, ours, err)
	}
	cookies.ForgetSignIn(w, base, cookieID(ours))
	return sendBack(w, begun.Redirect, begun.State, url.Values{"code": {code}})
}

func invalidState(why string) error { return withWhy(bad("Invalid state parameter."), why) }

// Reasons for which somebody who is signed in may not go on.
var (
	errLevel   = errors.New("none of the client's products has a scope for exactly the person's level of authentication assurance")
	errRevoked = errors.New("the client is no longer approved")
)

// signedIn makes a code for the person whom the provider's answer stands for.
func (a *Authorizer) signedIn(place *intake.Taken, begun *login, ours, callback string, query url.Values) (string, error) {
	if refused := query.Get("error"); refused != "" {
		return "", fmt.Errorf("%w: it answered %s", ErrDenied, clipped(refused))
	}
	if query.Get("code") == "" {
		return "", fmt.Errorf("%w: it sent no code", ErrDenied)
	}
	client, known := a.Clients[begun.Client]
	if !known {
		return "", errRevoked
	}
	ctx := place.Context()
	person, err := a.Provider.Redeem(ctx, begun.way(callback, ours), query.Get("code"))
	if errors.Is(err, ErrDenied) { // perhaps for the same answer came twice, and the other was quicker
		if used, failed := a.finished(ctx, ours); failed == nil && used {
			return "", errLoginUsed
		}
	}
	if err == nil {
		err = place.Prove()
	}
	if err != nil {
		return "", err
	}
	if len(userScopes(client.Scopes, person.Level)) == 0 {
		return "", fmt.Errorf("%w, which is %d", errLevel, person.Level)
	}
	return a.keepCode(ctx, begun, ours, person)
}

// keepCode keeps the sign-in and its code, and that the login is used up, together.
func (a *Authorizer) keepCode(ctx context.Context, begun *login, ours string, person Person) (string, error) {
	f, batch, err := a.beginFamily(ctx, begun.Client, flowCombined, person)
	if err != nil {
		return "", err
	}
	code, err := newSecret(a.Rand)
	if err != nil {
		return "", err
	}
	expires := a.Now().Add(codeLife)
	value, err := json.Marshal(codeRecord{Client: begun.Client, Redirect: begun.Redirect, Challenge: begun.Challenge, Family: f.id, Expires: expires})
	if err != nil {
		return "", err
	}
	batch.Then = append(batch.Then, store.Op{Put: &store.Record{Key: codeKey(code), Value: value, Expires: expires.Add(remembered)}})
	begun.finish(&batch, ours)
	if err := a.Store.Commit(ctx, batch); err != nil {
		if conflict, ok := errors.AsType[*store.Conflict](err); ok && conflict.Check.Key == finishedKey(ours) {
			return "", errLoginUsed
		}
		return "", endedMeanwhile(err)
	}
	a.Logger.LogAttrs(ctx, slog.LevelInfo, "person signed in",
		slog.String("client", begun.Client), slog.String("level", LevelOf(f.Level)), slog.String("family", f.id))
	return code, nil
}

// sendRefusal tells the client why there is no code (RFC 6749 §4.1.2.1). With that the login is over in this browser.
func (a *Authorizer) sendRefusal(w http.ResponseWriter, base *url.URL, begun *login, ours string, err error) error {
	told := errorQuery("temporarily_unavailable", "the OpenID provider cannot be used at the moment; try again later")
	switch {
	case errors.Is(err, ErrDenied):
		told = errorQuery(codeDenied, "the sign-in was refused or cancelled")
	case errors.Is(err, errEnded):
		told = errorQuery(codeDenied, "the person has signed out meanwhile; have them sign in again")
	case errors.Is(err, errRevoked):
		told = errorQuery(codeDenied, "the client is no longer approved")
	case errors.Is(err, store.ErrUnavailable):
		told = errorQuery("temporarily_unavailable", "the sign-in cannot be kept at the moment; try again later")
	}
	cookies.ForgetSignIn(w, base, cookieID(ours))
	return detailed(sendBack(w, begun.Redirect, begun.State, told), err.Error())
}
