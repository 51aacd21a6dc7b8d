package oauth

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// UserScopePrefix begins the scopes that a token may carry while a user is present; the level that it takes, such
// as aal3, follows (TOK-7).
const UserScopePrefix = "urn:nhsd:apim:user-nhs-cis2:"

// maxLevel is the highest level of authentication assurance.
const maxLevel = 3

// Person is who signed in at a provider.
type Person struct {
	Issuer string    // of the provider
	User   string    // the user id
	SID    string    // the provider's session; empty: it tells none
	Level  int       // of authentication assurance, 1 to 3; 0: the provider does not say
	Party  string    // the client at the provider that the ID token was issued to: azp, or its only audience
	Issued time.Time // when the provider said so: the ID token's iat
	Info   []byte    // a JSON object: what /userinfo answers; nil where the provider was not asked
}

// Provider is an OpenID provider, as whoever relies on it sees it. Its errors are an ErrDenied or, for a provider
// that cannot be reached or used, others; none holds anything secret or personal.
type Provider interface {
	Issuer() string
	ClientID() string // ours

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
	// Logout verifies a logout token (OpenID Connect Back-Channel Logout §2.6).
	Logout(ctx context.Context, logoutToken string) (Logout, error)
}

// SignIn is one way of a browser to the provider and back. All but Redirect is new each time, and Nonce and
// Verifier are known to nobody but the browser that goes there.
type SignIn struct {
	Redirect string // where the provider sends the browser back to
	State    string
	Nonce    string
	Verifier string // of PKCE (RFC 7636)
	Fresh    bool   // the provider asks who is there, also where it remembers somebody (prompt=login)
}

// NewSignIn is a way whose nonce and verifier derive from a secret that only the browser knows.
func NewSignIn(redirect, state, secret string) SignIn {
	return SignIn{Redirect: redirect, State: state, Nonce: keyedHash(secret, "nonce "+state), Verifier: keyedHash(secret, "verifier "+state)}
}

// ErrDenied is what the errors of a Provider unwrap to where it, or what it said, is the reason for a refusal.
var ErrDenied = errors.New("the OpenID provider does not vouch for this sign-in")

// LevelOf is a user's level as a Grant has it.
func LevelOf(level int) string { return "aal" + strconv.Itoa(level) }

// userScopes are the scopes that a token carries with a user of this level: a higher level includes what takes a
// lower one.
func userScopes(scopes []string, level int) []string {
	var held []string
	for _, scope := range scopes {
		if needs := scopeLevel(scope); needs > 0 && needs <= level {
			held = append(held, scope)
		}
	}
	return held
}

// scopeLevel is the level that a user's scope takes, or 0 for a scope that is no user's.
func scopeLevel(scope string) int {
	rest, isUsers := strings.CutPrefix(scope, UserScopePrefix)
	level, _, _ := strings.Cut(rest, ":")
	if n, err := strconv.Atoi(strings.TrimPrefix(level, "aal")); isUsers && err == nil && n >= 1 && n <= maxLevel && level == LevelOf(n) {
		return n
	}
	return 0
}
