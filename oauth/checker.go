package oauth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// BearerCode says, in a stable word, why an Authorization header stands for nothing.
type BearerCode string

// The codes of a BearerError.
const (
	BearerMissing BearerCode = "missing" // no header, another scheme, or no token in it
	BearerUnknown BearerCode = "unknown" // no token of ours, or of a client that is no longer approved
	BearerExpired BearerCode = "expired"
)

// BearerError is what Check returns for a header that stands for nothing.
type BearerError struct{ Code BearerCode }

func (e *BearerError) Error() string {
	switch e.Code {
	case BearerMissing:
		return "no access token was sent; send it as Authorization: Bearer …"
	case BearerExpired:
		return "the access token has expired; get a new one"
	case BearerUnknown:
	}
	return "the access token is not known here; get a new one from this installation's token service"
}

// BearerCodeOf returns the code of the *BearerError in err's chain, or "".
func BearerCodeOf(err error) BearerCode {
	if e, ok := errors.AsType[*BearerError](err); ok {
		return e.Code
	}
	return ""
}

// Checker finds what access tokens stand for.
type Checker struct {
	store store.Store
	now   func() time.Time

	// Approved says whether a client may still use its tokens; nil: each may. It is set before the first use.
	Approved func(client string) bool
}

// NewChecker makes a Checker of the store that the Service puts its tokens into. A nil now is time.Now.
func NewChecker(s store.Store, now func() time.Time) *Checker {
	if now == nil {
		now = time.Now
	}
	return &Checker{store: s, now: now}
}

// Check finds the grant of the token in an Authorization header (RFC 6750 §2.1). Its errors are a *BearerError,
// or else the store's.
func (c *Checker) Check(ctx context.Context, authorization string) (Grant, error) {
	token := bearerOf(authorization)
	if token == "" {
		return Grant{}, &BearerError{BearerMissing}
	}
	if !tokenLike(token) {
		return Grant{}, &BearerError{BearerUnknown}
	}
	found, err := c.store.Get(ctx, tokenKey(token))
	if err != nil {
		return Grant{}, fmt.Errorf("looking an access token up: %w", err)
	}
	if found[0].Version == 0 {
		return Grant{}, &BearerError{BearerUnknown}
	}
	grant, err := parseGrant(found[0].Value)
	switch {
	case err != nil:
		return Grant{}, err
	case !c.now().Before(grant.Expires):
		return Grant{}, &BearerError{BearerExpired}
	case c.Approved != nil && !c.Approved(grant.Client):
		return Grant{}, &BearerError{BearerUnknown}
	case grant.Family != "":
		return c.checkFamily(ctx, grant)
	}
	return grant, nil
}

// checkFamily finds whether the sign-in that a token comes of still holds: it ends for all of its tokens at once.
func (c *Checker) checkFamily(ctx context.Context, grant Grant) (Grant, error) {
	found, err := c.store.Get(ctx, familyKey(grant.Family))
	if err != nil {
		return Grant{}, fmt.Errorf("looking a sign-in up: %w", err)
	}
	if found[0].Version == 0 {
		return Grant{}, &BearerError{BearerUnknown}
	}
	return grant, nil
}

// bearerOf is the token of an Authorization header, or "".
func bearerOf(authorization string) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// tokenLike spares the store what cannot be a token of ours.
func tokenLike(token string) bool {
	if len(token) != tokenLength {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
