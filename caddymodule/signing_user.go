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

// SigningUser configures what a Signing Service must know of the person who signs. A token with a user is always bound to
// that user: it must match the sub of each request and session.
type SigningUser struct {
	// User is "required" to refuse tokens without a user, or "optional". Default: required in production, else optional.
	// It applies only with access bearer.
	User string `json:"user,omitempty"`

	// Level is the minimum authentication assurance level of a user's sign-in: aal1, aal2 or aal3 (the default).
	Level string `json:"level,omitempty"`

	// SignIn requires the signer to sign in at an OpenID provider before the page opens. It is mandatory in production if
	// an agent signs with real cards.
	SignIn bool `json:"sign_in,omitempty"`

	// Provider is the issuer of the provider for SignIn. Default: the first of the countersign app's.
	Provider string `json:"provider,omitempty"`
}

// checkUser refuses invalid options and fills in the defaults.
func (s *SigningService) checkUser() error {
	if s.Level != "" && s.Access == "open" && !s.SignIn {
		return fmt.Errorf("level %s has no effect: with access open there is no token, and without sign_in nobody signs in; add sign_in, or remove level", s.Level)
	}
	if s.Provider != "" && !s.SignIn { // possible only in JSON
		return fmt.Errorf("provider %s has no effect without sign_in: add sign_in, or remove provider", s.Provider)
	}
	if s.Level == "" {
		s.Level = oauth.LevelOf(3)
	}
	if s.leastLevel() == 0 {
		return fmt.Errorf("unknown level %q: use aal1, aal2 or aal3", s.Level)
	}
	if !slices.Contains([]string{"", "required", "optional"}, s.User) {
		return fmt.Errorf("unknown user %q: use required or optional", s.User)
	}
	if err := s.checkUserOfTokens(); err != nil {
		return err
	}
	if s.SignIn && s.Environment != Sandbox {
		if _, err := s.app.openID(s.Provider); err != nil {
			return fmt.Errorf("sign_in: %w", err)
		}
	}
	// With an agent on their own machine, people prove themselves with their PIN and their own card.
	behind := slices.ContainsFunc(s.Agents, func(a *AgentClient) bool { return !a.ownMachine() })
	if behind && !s.SignIn {
		return s.Environment.Forbid(nil, Risk{RuleStranger, "agent without sign_in"})
	}
	return nil
}

// checkUserOfTokens checks whether callers' tokens can and must have a user, as production requires by default.
func (s *SigningService) checkUserOfTokens() error {
	nowhere := s.Access == "bearer" && len(s.app.OpenID) == 0
	switch {
	case s.User == "required" && s.Access == "open":
		return errors.New("user required has no effect with access open, which needs no token: remove it, or set access bearer")
	case s.User == "required" && nowhere:
		return errors.New("user required needs an OpenID provider for sign-in, and none is configured: add openid <issuer> { client_id … } to countersign " +
			"and apim_authorize next to apim_token, or set user optional")
	case s.User == "" && s.Environment == Production:
		s.User = "required"
		if nowhere {
			return s.Environment.Forbid(nil, Risk{RuleNobody, "access bearer without an openid"})
		}
	}
	return nil
}

// leastLevel returns the level as a number, or 0 if it is unknown.
func (s *SigningService) leastLevel() int {
	for level := 1; level <= 3; level++ {
		if s.Level == oauth.LevelOf(level) {
			return level
		}
	}
	return 0
}

// signingDoor is the Signing Service's authorizer. It requires a token with the service's scope and, if the token has or
// must have a user, a sufficient level. The service itself decides which sessions the caller may see.
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

// levelOf returns the number of a user's level.
func levelOf(level string) int {
	if len(level) != len("aal3") || level[:3] != "aal" {
		return 0
	}
	n, _ := strconv.Atoi(level[3:]) // 0 if it is not a number
	return n
}

// pageSignIn makes people sign in at a provider before the page opens.
type pageSignIn struct {
	provider oauth.Provider
	presence *oauth.Presence
	level    int
}

// signIn returns the sign-in that the page requires, or nil.
func (s *SigningService) signIn() (signing.SignIn, error) {
	if !s.SignIn {
		return nil, nil //nolint:nilnil // no sign-in required
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

// nameIn returns the person's name from a provider's claims, if present (OpenID Connect Core §5.1).
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
