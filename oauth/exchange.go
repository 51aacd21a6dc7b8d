package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
)

const (
	tokenTypeID     = "urn:ietf:params:oauth:token-type:id_token"
	tokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token"
)

// exchange is the grant token-exchange (TOK-6): the client's assertion, and the ID token
// of a person whom the client itself had sign in.
func (s *Service) exchange(ctx context.Context, c *call) (any, error) {
	if err := s.assertingClient(c); err != nil {
		return nil, err
	}
	person, err := s.subject(ctx, c)
	if err != nil {
		return nil, err
	}
	f, begun, err := s.beginFamily(ctx, c.id, flowSeparate, person)
	if err != nil {
		return nil, endedSubject(err)
	}
	used := c.usedJTI()
	begun.If, begun.Then = append(begun.If, store.Check{Key: used.Key}), append(begun.Then, store.Op{Put: used})
	how := AuditRecord{Grant: grantExchange, KID: c.assertion.jws.Header.KID}
	answer, err := s.issueUser(ctx, c, f, spending{batch: begun, how: how, jti: used.Key})
	if err != nil {
		return nil, endedSubject(endedMeanwhile(usedBefore(err, used.Key)))
	}
	answer.IssuedTokenType = tokenTypeAccess
	answer.IssuedAt = strconv.FormatInt(s.Now().UnixMilli(), 10)
	return answer, nil
}

// subject is the person of the subject token, which goes through TOK-6.3 to TOK-6.14 in their order.
func (s *Service) subject(ctx context.Context, c *call) (Person, error) {
	const jwt = " in subject_token JWT"
	compact := c.form.Get(paramSubjectToken)
	switch {
	case c.form.Get(paramSubjectTokenType) != tokenTypeID:
		return Person{}, tell(bad("missing or invalid subject_token_type - must be '" + tokenTypeID + "'"))
	case compact == "":
		return Person{}, tell(bad("Missing subject_token"))
	}
	token, err := parseAssertion(compact)
	if err != nil {
		return Person{}, (&Error{Status: http.StatusBadRequest, Code: codeInvalidRequest, Description: "Malformed JWT in subject_token"}).
			withDetail(err.Error())
	}
	if err := s.checkSubject(token, jwt); err != nil {
		return Person{}, err
	}
	provider, issuer := s.providerOf(token)
	if provider == nil {
		return Person{}, (&Error{Status: http.StatusBadRequest, Code: codeInvalidRequest, Description: "Missing or non-matching 'iss' claim" + jwt}).
			withDetail("no provider is configured whose issuer is " + clipped(issuer))
	}
	if err := verifySubject(ctx, provider, token, jwt); err != nil {
		return Person{}, err
	}
	ours := func(id string) bool { return id == provider.ClientID() || slices.Contains(c.client.Audiences, id) }
	if !slices.ContainsFunc(token.audiences(), ours) {
		return Person{}, withWhy(refused("Invalid 'aud' claim"+jwt), "it is neither the gateway's own client id at the provider nor one of the client's")
	}
	person, err := provider.Identify(ctx, compact)
	switch {
	case errors.Is(err, ErrDenied):
		return Person{}, withWhy(refused("Invalid subject_token JWT"), err.Error())
	case err == nil && !ours(person.Party): // it was issued to another of its audiences
		return Person{}, withWhy(refused("Invalid 'aud' claim"+jwt), "its azp is neither the gateway's own client id at the provider nor one of the client's")
	}
	return person, err
}

// checkSubject is what can be said of the subject token before its issuer is known.
func (s *Service) checkSubject(token *assertion, jwt string) error {
	switch {
	case token.jws.Header.KID == "":
		return tell(bad("Missing 'kid' header" + jwt))
	case (&call{assertion: token}).otherTyp():
		return tell(bad("Invalid 'typ' header" + jwt + " - must be 'JWT'"))
	case token.alg == "":
		return tell(bad("Missing 'alg' header" + jwt))
	}
	expires := &call{Service: s, assertion: token}
	switch {
	case expires.noExp():
		return tell(bad("Missing 'exp' claim" + jwt))
	case expires.expNotNumber():
		return tell(bad("Invalid 'exp' claim" + jwt + " - must be an integer"))
	case expires.expired():
		return tell(bad("Invalid 'exp' claim" + jwt + " - JWT has expired"))
	case missing(token.Issuer):
		return tell(bad("Missing 'iss' claim" + jwt))
	case missing(token.Audience):
		return tell(refused("Missing 'aud' claim" + jwt))
	}
	return nil
}

func (s *Service) providerOf(token *assertion) (found Provider, issuer string) {
	issuer = token.client() // which is its iss
	for _, provider := range s.Providers {
		if provider.Issuer() == issuer {
			return provider, issuer
		}
	}
	return nil, issuer
}

// verifySubject is rows 21 to 23 for the subject token. Another algorithm than RS256 and RS512 verifies with no key.
func verifySubject(ctx context.Context, provider Provider, token *assertion, jwt string) error {
	key, err := provider.Key(ctx, token.jws.Header.KID)
	switch {
	case errors.Is(err, jwks.ErrUnknownKID):
		return withWhy(refused("Invalid 'kid' header"+jwt+" - no matching public key"), err.Error())
	case err != nil:
		return withWhy(Error{Status: http.StatusForbidden, Code: codePublicKey, Description: "The JWKS endpoint, for your subject_token can't be reached"}, err.Error())
	case token.jws.VerifyAlg(key, "RS256", "RS512") != nil:
		return &Error{Status: http.StatusUnauthorized, Code: codePublicKey, Description: "JWT signature verification failed"}
	}
	return nil
}

// endedSubject is the answer to an ID token of a sign-in that the provider has ended.
func endedSubject(err error) error {
	if errors.Is(err, errEnded) {
		return withWhy(refused("Invalid subject_token JWT"), err.Error())
	}
	return err
}

func withWhy(e Error, why string) error { return e.withDetail(why) }

// audiences are those of aud, which is a text or a list of them (RFC 7519 §4.1.3).
func (c *claims) audiences() []string {
	if one, ok := jwks.StringValue(c.Audience); ok {
		return []string{one}
	}
	var all []string
	if c.Audience.Kind() != jsontext.KindBeginArray || json.Unmarshal(c.Audience, &all) != nil {
		return nil
	}
	return all
}
