package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-json-experiment/json"

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
	ours, secret := query.Get("state"), cookieSecret(r, base)
	kept, found, err := a.login(r.Context(), ours)
	if err != nil {
		return err
	}
	if kept == nil || !kept.sameBrowser(secret) {
		return withWhy(bad("Invalid state parameter."), "there is no sign-in under way with this state in this browser")
	}
	told.Client = kept.Client
	if client, known := a.Clients[kept.Client]; known && !slices.Contains(client.RedirectURIs, kept.Redirect) {
		return withWhy(bad("redirect_uri is invalid"), "client "+kept.Client+" had registered it when the sign-in began, and has not any more")
	}
	if kept.Issuer != a.Provider.Issuer() {
		return withWhy(bad("Invalid state parameter."), "the sign-in began at another provider")
	}
	if err := a.Provider.Responds(r.Context(), query.Get("iss")); errors.Is(err, ErrDenied) {
		return withWhy(bad("Invalid iss parameter."), err.Error())
	} else if err != nil {
		return a.sendRefusal(w, kept, err)
	}
	err = a.Store.Commit(r.Context(), store.Batch{If: []store.Check{{Key: found.Key, Version: found.Version}}, Then: []store.Op{{Delete: found.Key}}})
	if conflicted(err) {
		return withWhy(bad("Invalid state parameter."), "the state was used at this very moment")
	}
	if err != nil {
		return err
	}
	code, err := a.signedIn(r.Context(), kept, kept.signIn(secret, ours), query)
	if err != nil {
		return a.sendRefusal(w, kept, err)
	}
	return sendBack(w, kept.Redirect, kept.State, url.Values{"code": {code}})
}

// login finds what is kept under a state of ours, or nil.
func (a *Authorizer) login(ctx context.Context, state string) (*login, store.Record, error) {
	if !challengePattern.MatchString(state) { // which is the form of ours, too
		return nil, store.Record{}, nil
	}
	found, err := a.Store.Get(ctx, loginKey(state))
	if err != nil || found[0].Version == 0 {
		return nil, store.Record{}, err
	}
	kept := &login{}
	if err := json.Unmarshal(found[0].Value, kept); err != nil {
		return nil, store.Record{}, fmt.Errorf("the record of a login cannot be read: %w", errGrant)
	}
	return kept, found[0], nil
}

// Reasons for which somebody who is signed in may not go on.
var (
	errNotEnough = errors.New("the person's level of authentication assurance is too low for the client's products")
	errRevoked   = errors.New("the client is no longer approved")
)

// signedIn makes a code for the person whom the provider's answer stands for.
func (a *Authorizer) signedIn(ctx context.Context, kept *login, way SignIn, query url.Values) (string, error) {
	if refused := query.Get("error"); refused != "" {
		return "", fmt.Errorf("%w: it answered %s", ErrDenied, clipped(refused))
	}
	if query.Get("code") == "" {
		return "", fmt.Errorf("%w: it sent no code", ErrDenied)
	}
	client, known := a.Clients[kept.Client]
	if !known {
		return "", errRevoked
	}
	person, err := a.Provider.Redeem(ctx, way, query.Get("code"))
	if err != nil {
		return "", err
	}
	if len(userScopes(client.Scopes, person.Level)) == 0 {
		return "", fmt.Errorf("%w: it is %d", errNotEnough, person.Level)
	}
	return a.keepCode(ctx, kept, person)
}

// keepCode keeps the sign-in and its code, together.
func (a *Authorizer) keepCode(ctx context.Context, kept *login, person Person) (string, error) {
	f, batch, err := a.beginFamily(ctx, kept.Client, flowCombined, person)
	if err != nil {
		return "", err
	}
	code, err := newSecret(a.Rand)
	if err != nil {
		return "", err
	}
	expires := a.Now().Add(codeLife)
	value, err := json.Marshal(codeRecord{Client: kept.Client, Redirect: kept.Redirect, Challenge: kept.Challenge, Family: f.id, Expires: expires})
	if err != nil {
		return "", err
	}
	batch.Then = append(batch.Then, store.Op{Put: &store.Record{Key: codeKey(code), Value: value, Expires: expires.Add(remembered)}})
	if err := a.Store.Commit(ctx, batch); err != nil {
		return "", endedMeanwhile(err)
	}
	a.Logger.LogAttrs(ctx, slog.LevelInfo, "person signed in",
		slog.String("client", kept.Client), slog.String("level", LevelOf(f.Level)), slog.String("family", f.id))
	return code, nil
}

// sendRefusal tells the client why there is no code (RFC 6749 §4.1.2.1).
func (a *Authorizer) sendRefusal(w http.ResponseWriter, kept *login, err error) error {
	told := errorQuery("temporarily_unavailable", "the OpenID provider cannot be used at the moment; try again later")
	switch {
	case errors.Is(err, ErrDenied):
		told = errorQuery(codeDenied, "the sign-in was refused or cancelled")
	case errors.Is(err, errEnded):
		told = errorQuery(codeDenied, "the person has signed out meanwhile; have them sign in again")
	case errors.Is(err, errRevoked):
		told = errorQuery(codeDenied, "the client is no longer approved")
	case errors.Is(err, errNotEnough):
		told = errorQuery(codeDenied, "the person's level of authentication assurance is too low")
	case errors.Is(err, store.ErrUnavailable):
		told = errorQuery("temporarily_unavailable", "the sign-in cannot be kept at the moment; try again later")
	}
	return detailed(sendBack(w, kept.Redirect, kept.State, told), err.Error())
}
