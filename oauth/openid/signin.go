package openid

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	maxInfo       = 128 << 10 // bytes of a person's claims
)

// AuthCodeURL is where the browser goes to sign in.
func (p *Provider) AuthCodeURL(ctx context.Context, way oauth.SignIn) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{
		oidc.Nonce(way.Nonce), oauth2.S256ChallengeOption(way.Verifier), oauth2.SetAuthURLParam("acr_values", cmp.Or(way.ACR, p.ACR)),
	}
	if way.Fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return p.config(found, way.Redirect).AuthCodeURL(way.State, options...), nil
}

// Responds says whether an answer may be this provider's (RFC 9207 §2.4).
func (p *Provider) Responds(ctx context.Context, iss string) error {
	found, err := p.discover(ctx)
	switch {
	case err != nil:
		return err
	case iss == "" && found.SaysIss:
		return fmt.Errorf("%w: the answer does not say whose it is, as this provider's answers do", oauth.ErrDenied)
	case iss != "" && iss != p.Issuer():
		return fmt.Errorf("%w: the answer says that it is another provider's", oauth.ErrDenied)
	}
	return nil
}

// Redeem turns the provider's code into the person who signed in.
func (p *Provider) Redeem(ctx context.Context, way oauth.SignIn, code string) (oauth.Person, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return oauth.Person{}, err
	}
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(way.Verifier)}
	if p.Signer != nil {
		assertion, err := oauth.NewAssertion(p.Signer, p.ClientID(), found.Token, p.Now())
		if err != nil {
			return oauth.Person{}, err
		}
		options = append(options, oauth2.SetAuthURLParam("client_assertion_type", assertionType), oauth2.SetAuthURLParam("client_assertion", assertion))
	}
	tokens, err := p.config(found, way.Redirect).Exchange(p.with(ctx), code, options...)
	if err != nil {
		return oauth.Person{}, refusedCode(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return oauth.Person{}, fmt.Errorf("%w: its answer holds no ID token", oauth.ErrDenied)
	}
	verifier, keys := p.verifier(found, p.ClientID())
	token, err := verifier.Verify(p.with(ctx), raw)
	if err != nil {
		return oauth.Person{}, keys.denied(err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(way.Nonce)) != 1 {
		return oauth.Person{}, fmt.Errorf("%w: the ID token's nonce is not this sign-in's", oauth.ErrDenied)
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(tokens.AccessToken); err != nil {
			return oauth.Person{}, fmt.Errorf("%w: the ID token was issued with another access token", oauth.ErrDenied)
		}
	}
	person, err := p.person(token)
	if err != nil {
		return oauth.Person{}, err
	}
	if person.Party != p.ClientID() {
		return oauth.Person{}, fmt.Errorf("%w: the ID token is for another party (azp)", oauth.ErrDenied)
	}
	person.Info, err = p.info(ctx, found, tokens, token)
	return person, err
}

// refusedCode tells a provider that refused from one that could not be asked.
func refusedCode(err error) error {
	answer, answered := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case answered && answer.Response != nil && answer.Response.StatusCode >= 500:
		return fmt.Errorf("the provider's token endpoint answered %d", answer.Response.StatusCode)
	case answered:
		return fmt.Errorf("%w: its token endpoint answered %.100q", oauth.ErrDenied, answer.ErrorCode)
	}
	return fmt.Errorf("asking the provider's token endpoint: %w", clipped(err))
}

// claims are those of an ID token that go-oidc leaves to its caller.
type claims struct {
	AuthorizedParty string          `json:"azp"`
	SID             string          `json:"sid"`
	Events          json.RawMessage `json:"events"`
}

// party is the client that an ID token was issued to, or "" where it does not say which of several.
func (c claims) party(audience []string) string {
	if c.AuthorizedParty == "" && len(audience) == 1 {
		return audience[0]
	}
	return c.AuthorizedParty
}

// person reads who a verified ID token is about.
func (p *Provider) person(token *oidc.IDToken) (oauth.Person, error) {
	var known claims
	all := map[string]json.RawMessage{}
	if err := errors.Join(token.Claims(&known), token.Claims(&all)); err != nil {
		return oauth.Person{}, fmt.Errorf("%w: the ID token's claims are not of the types that they should be", oauth.ErrDenied)
	}
	party := known.party(token.Audience)
	switch {
	case len(known.Events) > 0: // such as a logout token, which proves that somebody is gone
		return oauth.Person{}, fmt.Errorf("%w: the token tells of an event, and is no ID token", oauth.ErrDenied)
	case !slices.Contains(token.Audience, party):
		return oauth.Person{}, fmt.Errorf("%w: the ID token is for another party (azp)", oauth.ErrDenied)
	}
	person := oauth.Person{Issuer: token.Issuer, SID: known.SID, Level: levelOf(all[levelClaim]), Party: party}
	if json.Unmarshal(all[p.UserClaim], &person.User) != nil || person.User == "" || len(person.User) > 255 {
		return oauth.Person{}, fmt.Errorf("%w: the ID token has no text in the claim %s, which is to hold the user id", oauth.ErrDenied, p.UserClaim)
	}
	return person, nil
}

// levelOf reads a level, which providers send as a number or as a text.
func levelOf(claim json.RawMessage) int {
	text := string(claim)
	_ = json.Unmarshal(claim, &text) // where it is a text
	level, err := strconv.Atoi(text)
	if err != nil || level < 1 || level > 3 {
		return 0
	}
	return level
}

// info is what the provider says of the person at its userinfo endpoint, if it has one.
func (p *Provider) info(ctx context.Context, found *discovered, tokens *oauth2.Token, token *oidc.IDToken) ([]byte, error) {
	if found.Info == "" {
		return json.Marshal(map[string]string{"sub": token.Subject})
	}
	answer, err := found.UserInfo(p.with(ctx), oauth2.StaticTokenSource(tokens))
	if err != nil {
		return nil, errors.New("the provider's userinfo endpoint gave no answer that can be read")
	}
	if answer.Subject != token.Subject {
		return nil, fmt.Errorf("%w: its userinfo endpoint answered about another person", oauth.ErrDenied)
	}
	var info json.RawMessage
	if err := answer.Claims(&info); err != nil || len(info) > maxInfo {
		return nil, errors.New("the provider's userinfo endpoint gave no answer that can be kept")
	}
	return info, nil
}

// Key finds one of the provider's keys.
func (p *Provider) Key(ctx context.Context, kid string) (*jwks.Key, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", jwks.ErrUnreachable, err)
	}
	return found.keys.Key(ctx, p.Issuer(), kid)
}
