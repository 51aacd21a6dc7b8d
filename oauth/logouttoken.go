package oauth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// logoutEvent is the member of events that makes a token one of a logout (OpenID Connect Back-Channel Logout §2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// maxLogoutAge is how old a logout token without exp may be, and logoutSkew how far ahead the provider's clock may go.
const (
	maxLogoutAge = 5 * time.Minute
	logoutSkew   = time.Minute
)

// logoutClaims are those of a logout token that are looked at, of whatever JSON type they came.
type logoutClaims struct {
	claims
	IssuedAt jsontext.Value `json:"iat"`
	SID      jsontext.Value `json:"sid"`
	Events   jsontext.Value `json:"events"`
	Nonce    jsontext.Value `json:"nonce"`
}

// loggedOut is the provider's session that a logout token says is over. Whatever it is refused for is a row of TOK-8.5
// to TOK-8.10.
func (a *Authorizer) loggedOut(ctx context.Context, sent []string) (sid string, err error) {
	var claims logoutClaims
	if err := a.verifyLogout(ctx, sent, &claims); err != nil {
		return "", err
	}
	audience, issuer := claims.audiences(), claims.client() // which is its iss
	sid, _ = jwks.StringValue(claims.SID)
	switch {
	case len(audience) == 0 || audience[0] != a.Provider.ClientID():
		return "", tell(bad("Missing/invalid aud claim in JWT"))
	case !strings.EqualFold(issuer, a.Provider.Issuer()):
		return "", tell(bad("Missing/invalid iss claim in JWT"))
	case sid == "":
		return "", tell(bad("Missing sid claim in JWT"))
	case !claims.tellsLogout():
		return "", tell(bad("Missing/invalid events claim in JWT"))
	case claims.Nonce.Kind() != 0:
		return "", tell(bad("Prohibited nonce claim in JWT"))
	}
	return sid, nil
}

// verifyLogout reads the claims of a token that the provider has signed, and that is not too old.
func (a *Authorizer) verifyLogout(ctx context.Context, sent []string, into *logoutClaims) error {
	wrong := func(why string) error { return withWhy(bad("Unable to verify JWT"), why) }
	if len(sent) != 1 {
		return wrong("logout_token is missing, or given more than once")
	}
	token, err := jwks.Parse([]byte(sent[0]))
	if err == nil {
		err = token.Decode(into)
	}
	if err != nil {
		return wrong(err.Error())
	}
	key, err := a.Provider.Key(ctx, token.Header.KID)
	if errors.Is(err, jwks.ErrUnknownKID) {
		return wrong(err.Error())
	}
	if err != nil { // the provider's keys cannot be had, which is not its token's fault
		return logoutFailed(err)
	}
	if err := token.VerifyAlg(key, "RS256", "RS512"); err != nil {
		return wrong(err.Error())
	}
	if why := into.outOfTime(a.Now()); why != "" {
		return wrong(why)
	}
	return nil
}

// outOfTime says why the token does not count at this time, or "". The provider's have been seen with exp and without
// (TOK-8.12).
func (c *logoutClaims) outOfTime(now time.Time) string {
	if !missing(c.Expires) {
		exp, isNumber := c.seconds()
		switch {
		case !isNumber:
			return "exp is not a number"
		case exp <= secondsOf(now):
			return "the token has expired"
		}
		return ""
	}
	issued := claims{Expires: c.IssuedAt} // which reads its number
	iat, isNumber := issued.seconds()
	switch {
	case !isNumber:
		return "the token has neither exp nor an iat that is a number"
	case iat < secondsOf(now.Add(-maxLogoutAge)):
		return "the token has no exp, and its iat is more than five minutes ago"
	case iat > secondsOf(now.Add(logoutSkew)):
		return "the token has no exp, and its iat is ahead of this clock"
	}
	return ""
}

// tellsLogout says whether events has the member of a logout, whose value is an object.
func (c *logoutClaims) tellsLogout() bool {
	var events map[string]jsontext.Value
	return c.Events.Kind() == jsontext.KindBeginObject && json.Unmarshal(c.Events, &events) == nil &&
		events[logoutEvent].Kind() == jsontext.KindBeginObject
}
