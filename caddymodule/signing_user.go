package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
)

// SigningUser says what a Signing Service wants to know of the person who signs. A token that has a user is that
// user's alone in any case: it is held to the sub of each request and session.
type SigningUser struct {
	// User is "required": tokens without a user are refused; or "optional". Default: required in production, else
	// optional. It has a meaning with access bearer alone.
	User string `json:"user,omitempty"`

	// Level is the least level of authentication assurance that a user's sign-in must have: aal1, aal2 or aal3 (the
	// default).
	Level string `json:"level,omitempty"`

	// SignIn has the person sign in at an OpenID provider before the page opens, as the one who is to sign.
	// Production demands it where an agent signs with real cards.
	SignIn bool `json:"sign_in,omitempty"`

	// Provider is the issuer of the provider for SignIn. Default: the first of the countersign app's.
	Provider string `json:"provider,omitempty"`
}

// checkUser refuses what cannot be meant, and fills in the defaults.
func (s *SigningService) checkUser() error {
	if s.Level != "" && s.Access == "open" && !s.SignIn {
		return fmt.Errorf("level %s has no effect: access open asks for no token, and without sign_in nobody signs in; add sign_in, or take level out", s.Level)
	}
	if s.Provider != "" && !s.SignIn { // which only JSON can say
		return fmt.Errorf("provider %s has no effect without sign_in; add it, or take provider out", s.Provider)
	}
	if s.Level == "" {
		s.Level = oauth.LevelOf(3)
	}
	if s.leastLevel() == 0 {
		return fmt.Errorf("level %q is not known; use aal1, aal2 or aal3", s.Level)
	}
	if !slices.Contains([]string{"", "required", "optional"}, s.User) {
		return fmt.Errorf("user %q is not known; use required or optional", s.User)
	}
	if err := s.checkUserOfTokens(); err != nil {
		return err
	}
	if s.SignIn && s.Environment != Sandbox {
		if _, err := s.app.openID(s.Provider); err != nil {
			return fmt.Errorf("sign_in: %w", err)
		}
	}
	// At an agent on the person's own machine they show themselves by their PIN, at their own card.
	behind := slices.ContainsFunc(s.Agents, func(a *AgentClient) bool { return !a.ownMachine() })
	if behind && !s.SignIn {
		return s.Environment.Forbid(nil, Risk{RuleStranger, "agent without sign_in"})
	}
	return nil
}

// checkUserOfTokens judges whether callers' tokens can and must have a user, which production demands by default.
func (s *SigningService) checkUserOfTokens() error {
	nowhere := s.Access == "bearer" && len(s.app.OpenID) == 0
	switch {
	case s.User == "required" && s.Access == "open":
		return errors.New("user required has no effect beside access open, which asks nobody for a token; take it out, or write access bearer")
	case s.User == "required" && nowhere:
		return errors.New("demands tokens with a user, and people have nowhere to sign in; add openid <issuer> { client_id … } to countersign " +
			"and apim_authorize beside apim_token, or write user optional")
	case s.User == "" && s.Environment == Production:
		s.User = "required"
		if nowhere {
			return s.Environment.Forbid(nil, Risk{RuleNobody, "access bearer without an openid"})
		}
	}
	return nil
}

// leastLevel is the level as a number, or 0 where it is none.
func (s *SigningService) leastLevel() int {
	for level := 1; level <= 3; level++ {
		if s.Level == oauth.LevelOf(level) {
			return level
		}
	}
	return 0
}

// signingDoor is the Signing Service's check of its callers: a token with the service's scope, and with a user of
// enough assurance where it has one, or must have. Whose sessions the caller may ask about is for the service to say.
func (s *SigningService) signingDoor() func(*http.Request) (signing.Caller, error) {
	d := &Door{Demands: Demands{User: s.User == "required"}, checker: s.app.checker()}
	return func(r *http.Request) (signing.Caller, error) {
		grant, err := d.Enter(r)
		switch {
		case err != nil:
		case !slices.ContainsFunc(grant.Scopes, isSigningScope):
			err = &insufficient{"it needs the scope " + scopeSigning + ", or a user's such as urn:nhsd:apim:user-nhs-cis2:aal3:signing-service"}
		case grant.User != "" && levelOf(grant.Level) < s.leastLevel():
			err = &insufficient{"its user must have signed in with the level " + s.Level}
		default:
			return signing.Caller{Client: grant.Client, User: grant.User}, nil
		}
		refused := asRefusal(err)
		if refused.reason == reasonUnavailable {
			return signing.Caller{}, err
		}
		return signing.Caller{}, &signing.Error{Status: refused.status, Code: "access_token", Message: refused.message}
	}
}

// levelOf is the number of a user's level.
func levelOf(level string) int {
	if len(level) != len("aal3") || level[:3] != "aal" {
		return 0
	}
	n, _ := strconv.Atoi(level[3:]) // 0 where it is none
	return n
}

// pageSignIn has people sign in at a provider before the page opens.
type pageSignIn struct {
	provider oauth.Provider
	presence *oauth.Presence
	level    int
}

// signIn is what the page demands, or nil.
func (s *SigningService) signIn() (signing.SignIn, error) {
	if !s.SignIn {
		return nil, nil //nolint:nilnil // no demand is no error
	}
	provider, err := s.app.openID(s.Provider)
	return pageSignIn{provider, oauth.NewPresence(s.app.Store(), s.app.now), s.leastLevel()}, err
}

// Begin implements signing.SignIn.
func (p pageSignIn) Begin(ctx context.Context, redirect, state, secret string, fresh bool) (string, error) {
	way := oauth.NewSignIn(redirect, state, secret)
	way.Fresh = fresh
	return p.provider.AuthCodeURL(ctx, way)
}

// Finish implements signing.SignIn.
func (p pageSignIn) Finish(ctx context.Context, redirect, state, secret, user string, query url.Values) (signing.SignedIn, error) {
	person, err := p.finish(ctx, oauth.NewSignIn(redirect, state, secret), query)
	came := signing.SignedIn{User: person.User, Name: nameIn(person.Info), Level: person.Level, Least: p.level}
	if err == nil && person.User == user && person.Level >= p.level {
		came.ID, err = p.presence.Keep(ctx, person)
	}
	switch {
	case errors.Is(err, oauth.ErrDenied):
		return signing.SignedIn{}, fmt.Errorf("%w: %w", signing.ErrSignIn, err)
	case err != nil:
		return signing.SignedIn{}, err
	}
	return came, nil
}

// nameIn is the person's name in what a provider says of them, if it says one (OpenID Connect Core §5.1).
func nameIn(info []byte) string {
	var said struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(info, &said) != nil {
		return ""
	}
	return said.Name
}

// Provider implements signing.SignIn.
func (p pageSignIn) Provider() string { return p.provider.Issuer() }

// Holds implements signing.SignIn.
func (p pageSignIn) Holds(ctx context.Context, id string) (bool, error) {
	return p.presence.Holds(ctx, id)
}

func (p pageSignIn) finish(ctx context.Context, way oauth.SignIn, query url.Values) (oauth.Person, error) {
	if err := p.provider.Responds(ctx, query.Get("iss")); err != nil {
		return oauth.Person{}, err
	}
	switch {
	case query.Get("error") == "access_denied":
		return oauth.Person{}, signing.ErrSignInDenied
	case query.Get("error") != "" || query.Get("code") == "":
		return oauth.Person{}, fmt.Errorf("%w: it sent no code", oauth.ErrDenied)
	}
	return p.provider.Redeem(ctx, way, query.Get("code"))
}

// parseSignIn reads, among the options of signing_service:
//
//	sign_in [<issuer>]
func (u *SigningUser) parseSignIn(d *caddyfile.Dispenser) error {
	u.SignIn = true
	if d.NextArg() {
		u.Provider = d.Val()
	}
	return parse.NoMore(d)
}
