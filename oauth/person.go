package oauth

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// maxLevel is the highest level of authentication assurance.
const maxLevel = 3

// Person is who signed in at a provider.
type Person struct {
	Issuer string // of the provider
	User   string // the user id
	SID    string // the provider's session; empty: it tells none
	Level  int    // of authentication assurance, 1 to 3; 0: the provider does not say
	Party  string // the client at the provider that the ID token was issued to: azp, or its only audience
	Info   []byte // a JSON object: what /userinfo answers; nil where the provider was not asked
}

// Provider is an OpenID provider, as whoever relies on it sees it. Its errors are an ErrDenied or, for a provider
// that cannot be reached or used, others; none holds anything secret or personal.
type Provider interface {
	Issuer() string
	Name() string     // for /_status, such as nhs-cis2
	ClientID() string // ours

	// Reach asks the provider what it says of itself, now. It returns the address that it asked, and the status of the
	// answer, or 0 where there was none.
	Reach(ctx context.Context) (address string, status int, err error)

	// AuthCodeURL is where the browser goes to sign in.
	AuthCodeURL(ctx context.Context, way SignIn) (string, error)
	// Responds says whether an answer that says it is iss's, or does not say, is this provider's (RFC 9207).
	Responds(ctx context.Context, iss string) error
	// Redeem turns the provider's code into the person who signed in.
	Redeem(ctx context.Context, way SignIn, code string) (Person, error)

	// Key finds one of the provider's keys. Its errors unwrap to those of package jwks.
	Key(ctx context.Context, kid string) (*jwks.Key, error)
	// Identify verifies an ID token but for its audience, which is for the caller to judge.
	Identify(ctx context.Context, idToken string) (Person, error)
}

// SignIn is one way of a browser to the provider and back. All but Redirect is new each time, and Nonce and
// Verifier are known to nobody but the browser that goes there.
type SignIn struct {
	Redirect string // where the provider sends the browser back to
	State    string
	Nonce    string
	Verifier string // of PKCE (RFC 7636)
	Fresh    bool   // the provider asks who is there, also where it remembers somebody (prompt=login)
	ACR      string // acr_values; empty: what the provider is configured with (TOK-8.2)
}

// NewSignIn is a way whose nonce and verifier derive from a secret that only the browser knows.
func NewSignIn(redirect, state, secret string) SignIn {
	return SignIn{Redirect: redirect, State: state, Nonce: keyedHash(secret, "nonce "+state), Verifier: keyedHash(secret, "verifier "+state)}
}

// ErrDenied is what the errors of a Provider unwrap to where it, or what it said, is the reason for a refusal.
var ErrDenied = errors.New("the OpenID provider does not vouch for this sign-in")

// LevelOf is a user's level as a Grant has it.
func LevelOf(level int) string { return "aal" + strconv.Itoa(level) }

// UserScope takes a scope apart that a token may carry while a user is present: the level that it takes, and what it
// allows, such as signing-service of urn:nhsd:apim:user-nhs-cis2:aal3:signing-service. The words before the level are
// not looked at (TOK-7.2). The level is 0 where the scope is no user's.
func UserScope(scope string) (level int, allows string) {
	for level := 1; level <= maxLevel; level++ {
		if _, allows, found := strings.Cut(scope, ":"+LevelOf(level)+":"); found {
			return level, allows
		}
	}
	return 0, ""
}

// userScopes are the scopes that a token carries with a user of exactly this level (TOK-7.1).
func userScopes(scopes []string, level int) []string {
	var held []string
	for _, scope := range scopes {
		if takes, _ := UserScope(scope); takes > 0 && takes == level {
			held = append(held, scope)
		}
	}
	return held
}

// forUsers says whether one of the scopes is a user's, of whatever level.
func forUsers(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool { level, _ := UserScope(scope); return level > 0 })
}
